"""Matrices rounded to bf16: the same model within its roundings, and the same text where words differ enough."""

import pytest
import torch
from torch import nn

from headwater.models import Model, rounded
from headwater.models.generation import Sampling, write, writer_for
from headwater.nn.heads import TiedDecoder
from tests.unit.models.generation.test_writing import END, ENDING, decoder, prompts, translator


@pytest.fixture(params=["decoder", "marian", "t5"])
def model(request: pytest.FixtureRequest) -> Model:
    return decoder() if request.param == "decoder" else translator(request.param)


def asked(model: Model) -> bool:
    return hasattr(model.backbone, "embed_target")


def test_matrices_are_rounded_and_the_model_stays_as_it_is(model: Model) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    twin = rounded(model)
    for module in twin.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            assert module.weight.dtype is torch.bfloat16
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            assert module.weight.dtype is torch.float32
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    for head in twin.modules():
        if isinstance(head, TiedDecoder):
            assert head.weight is twin.backbone.token_embedding.weight


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_a_model_in_another_precision_writes_in_it(kind: torch.dtype) -> None:
    ended = [
        one for one in write(decoder().to(kind), prompts([3]), Sampling(temperature=0.0), ENDING) if one.ended
    ]
    assert len(ended) == 1


@pytest.mark.parametrize(
    "model", ["decoder", "marian"], indirect=True
)  # T5's scores are unscaled: roundings grow
@torch.no_grad()
def test_scores_are_the_same_within_roundings_also_after_many_tokens(model: Model) -> None:
    rows = prompts([5, 2, 3], sources=asked(model))
    exact, scores = writer_for(model, rows, room=12, padding=0)
    rough, near = writer_for(rounded(model), rows, room=12, padding=0)
    for _ in range(10):
        assert near.dtype is torch.float32
        assert (near - scores).norm() < 0.05 * scores.norm()
        following = scores.argmax(dim=-1)[:, None]
        scores, near = exact.feed(following), rough.feed(following)


@torch.no_grad()
def test_with_a_cache_and_without_one_it_scores_the_same() -> None:
    twin, rows = rounded(decoder()), prompts([5, 2, 3])
    kept, cached = writer_for(twin, rows, room=12, padding=0)
    again, read = writer_for(twin, rows, room=12, padding=0, cached=False)
    for _ in range(6):
        assert (cached - read).norm() < 0.03 * read.norm()
        following = read.argmax(dim=-1)[:, None]
        cached, read = kept.feed(following), again.feed(following)


def test_it_writes_to_the_end(model: Model) -> None:
    written = list(
        write(rounded(model), prompts([4, 2], sources=asked(model)), Sampling(temperature=0.0), ENDING)
    )
    ends = [one for one in written if one.ended]
    assert {one.item for one in ends} == {0, 1}
    assert all(one.token != END for one in written)
    assert not torch.is_autocast_enabled("cpu")  # what was begun for a step ended with it
