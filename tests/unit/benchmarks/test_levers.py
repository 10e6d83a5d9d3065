"""A lever changes how fast a step is, never what it computes."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
import torch

from benchmarks import ours
from benchmarks.arena import Arena, prepared
from benchmarks.harness import Segment, Spread, ratios
from benchmarks.levers import LEVERS, verdict
from headwater.models import transformer
from headwater.nn.attention import products
from headwater.nn.feed_forward import GatedFeedForward

SAME_NUMBERS = [
    name
    for name, lever in LEVERS.items()
    # These change which rows stand in a batch, or how numbers are rounded, or take tens of seconds to compile,
    # or hold for the rest of the process.
    if not {"length_grouping", "packed", "dropout", "compiled", "precision", "allocator"} & set(lever.way)
]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    folder, random = tmp_path_factory.mktemp("arena"), Random(0)
    texts = folder / "lm" / "english_mixed"
    texts.mkdir(parents=True)
    for name, lines in (("train", 4000), ("valid", 200)):
        words = (" ".join(f"w{random.randrange(300)}" for _ in range(20)) for _ in range(lines))
        (texts / f"{name}.txt").write_text("\n".join(words))
    return prepared(folder / "made", folder)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a way takes away, and what it sets for the whole process, comes back."""
    monkeypatch.setattr(transformer, "share", transformer.share)
    monkeypatch.setattr(GatedFeedForward, "_halves", GatedFeedForward._halves)
    monkeypatch.setattr(products, "LONGEST", products.LONGEST)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)


def first_losses(arena: Arena, work: str, way: ours.Way) -> list[float]:
    ours.prepare_machine(way)
    learner, batches = ours.build(arena, work, way)
    records = ours.steps_of(learner, batches, way)
    return [record.loss for record in islice(records, 2)]


@pytest.mark.parametrize("name", SAME_NUMBERS)
def test_taking_a_lever_away_keeps_the_loss(arena: Arena, name: str) -> None:
    lever = LEVERS[name]
    full = ours.Way(size="nano", batch_tokens=1024, allocator=False, precision="fp32")
    changed = replace(full, **{key: value for key, value in lever.way.items() if key != "warm_steps"})
    assert first_losses(arena, lever.work, full) == pytest.approx(
        first_losses(arena, lever.work, changed), rel=1e-5
    )


def test_a_ratio_is_taken_round_by_round() -> None:
    slow_minute = 10.0
    ours_segments = [Segment(100, 1, 1), Segment(100, slow_minute, 1)]
    theirs = [Segment(100, 2, 2), Segment(100, 2 * slow_minute, 2)]
    assert ratios(ours_segments, theirs) == Spread(2.0, 2.0, 2.0)


def test_an_effect_within_its_noise_is_not_called_one() -> None:
    assert verdict(Spread(1.1, 0.9, 1.2)) == "not seen above the noise"
    assert verdict(Spread(1.1, 1.05, 1.2)) == "helps"
    assert verdict(Spread(0.8, 0.7, 0.9)) == "hurts"
