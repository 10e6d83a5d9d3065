"""Judging a pre-trained run by its own pretext task, on data that it has not seen.

The answer is often read by what is thrown away after training (a decoder, a classifier of turns), which stands in the
run's checkpoints alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.assembly import FramedExamples
from headwater.data.cutting import cut_like
from headwater.data.labelled_media import read_labelled_media
from headwater.data.problems import Problems
from headwater.data.readers import read_documents
from headwater.data.sequencers import Patches, Sides
from headwater.data.sequencers.sides import side_of
from headwater.data.windows import FRAME
from headwater.errors import MissingInputError
from headwater.evaluation.metrics.pretext import PretextReport, Term, pretext_report
from headwater.objectives import Objective
from headwater.objectives.objective import Guess, LossTerm
from headwater.randomness import Draws
from headwater.run.choosing_objective import Given, Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HELD_OUT_SEED
from headwater.run.labelled import left_out
from headwater.run.reading import Reader
from headwater.run.thrown_away import thrown_away
from headwater.sequence import Batch
from headwater.training.checkpoint import restore_module
from headwater.training.precision import autocast
from headwater.training.progress import Progress

GROUP = 64
"""Examples that are read together where they are told from each other."""
SAMPLED = 2_000
"""Pictures that show what patches there are to a pretext task that asks; what it had learnt of them is restored."""
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows to judge on: how some of them become a batch, and the item that each belongs to."""

    what: str
    owners: Integers
    batch: Callable[[Integers], Batch]
    sample: Callable[[], Tensor]


def judge_pretext(
    folder: RunFolder, reader: Reader, test: Path, *, text: tuple[str, ...] | None, progress: Progress
) -> PretextReport:
    """Every loss term of the run's pretext task on the items of ``test``, with what needs no model beside it.

    What is hidden, drawn or changed of an item depends on its number alone. Where examples are told from each other,
    they are read in groups, and these are what an interval is over.
    """
    sequencer = reader.sequencer
    if isinstance(sequencer, Patches):
        judged = _pictures(test, sequencer, progress)
    else:
        judged = _texts(test, reader, text, progress)
    objective = _objective(folder, reader, judged)
    group = 1 if objective.alone else min(GROUP, len(judged.owners))
    terms: list[tuple[LossTerm, ...]] = []
    guesses: Mapping[str, Guess] = {}
    rows = len(judged.owners) - len(judged.owners) % group
    progress.stage(f"judging {judged.what}", rows)
    for first in range(0, rows, group):
        batch = judged.batch(np.arange(first, first + group))
        task = objective.prepare(batch, Draws(HELD_OUT_SEED, 0, batch.items.numpy()))
        with torch.no_grad(), autocast(reader.precision, reader.device):
            terms.append(objective.loss(reader.model, task))
        guesses = guesses or objective.guesses(task)
        progress.update(first + group)
    owners = judged.owners[:rows:group] if group == 1 else np.arange(len(terms))
    found = {name: _term(name, terms, owners, guesses) for name in _names(terms)}
    return pretext_report(found, judged.what, items=len(np.unique(owners)) * group, group=group)


def _objective(folder: RunFolder, reader: Reader, judged: Judged) -> Objective:
    """The run's pretext task as training left it."""
    settings = folder.settings()
    sequencer = reader.sequencer
    assert not isinstance(sequencer, Sides), "a pretext task of pairs is judged by its pairs"
    modality = side_of(sequencer)
    assert modality != "flow", "a run that reads movement alone is a side of pairs"
    pretext = replace(Pretext.named(settings.objective.name), modality=modality)
    objective = pretext.build(
        Given(sequencer, settings.objective, reader.model, settings.training.seed, judged.sample)
    )
    if objective.state_dict():
        parts = thrown_away(folder)
        if parts is None:
            raise MissingInputError(
                f"{folder.checkpoints} holds no checkpoint of the weights that were shipped, and what answers this "
                "pretext task stands there alone; fine-tune the run, or pre-train again"
            )
        restore_module(objective, parts)
    return objective.eval()


def _pictures(test: Path, patches: Patches, progress: Progress) -> Judged:
    cut = cut_like(patches)
    given = read_labelled_media(test, need_labels=False, split="test", cut=cut)
    for line in left_out(given.problems):
        progress.say(line)
    pixels = [row.pixels for row in given.examples if row.pixels is not None]

    def batch(items: Integers) -> Batch:
        inputs, layout = patches.sequences(np.stack([pixels[item] for item in items.tolist()]))
        return Batch(inputs, layout, torch.from_numpy(items))

    def sample() -> Tensor:
        return patches.patched(np.stack(pixels[:: -(-len(pixels) // SAMPLED)]))

    return Judged(cut.what, np.arange(len(pixels)), batch, sample)


def _texts(test: Path, reader: Reader, text: tuple[str, ...] | None, progress: Progress) -> Judged:
    """Documents in windows as long as the model reads."""
    problems, tokenizer = Problems(), reader.tokenizer
    texts = [row.text for row in read_documents([test], text=text, problems=problems, splits=None)]
    for line in left_out(problems):
        progress.say(line)
    content, owners, windows = reader.length - FRAME, list[int](), list[NDArray[np.integer]]()
    for number, tokens in enumerate(tokenizer.encode_batch(texts)):
        parts = [tokens[start : start + content] for start in range(0, len(tokens), content)]
        windows += parts
        owners += [number] * len(parts)
    framed = FramedExamples.of(windows, tokenizer, reader.length)
    return Judged("documents", np.array(owners, np.int64), framed.batch, _no_patches)


def _no_patches() -> Tensor:
    raise AssertionError("no pretext task of text asks for patches")


def _names(terms: Sequence[Sequence[LossTerm]]) -> list[str]:
    return list(dict.fromkeys(term.name for some in terms for term in some))


def _term(
    name: str, terms: Sequence[Sequence[LossTerm]], owners: Integers, guesses: Mapping[str, Guess]
) -> Term:
    """A loss term, summed over what belongs to an item."""
    places = np.unique(owners, return_inverse=True)[1]
    sums = np.zeros((3, places.max() + 1))
    seen: LossTerm | None = None
    for place, some in zip(places.tolist(), terms, strict=True):
        for term in some:
            if term.name == name:
                seen = term
                right = 0.0 if term.right is None else float(term.right)
                sums[:, place] += (float(term.total), term.count, right)
    assert seen is not None
    guess = guesses.get(name)
    return Term(
        sums[0],
        sums[1],
        None if seen.right is None else sums[2],
        guess and guess.loss,
        guess and guess.right,
        _trivial_answer_of(name, seen, _names(terms)),
    )


def _trivial_answer_of(name: str, term: LossTerm, names: Sequence[str]) -> str | None:
    """A term that weighs nothing measures what needs no model: NAME_copy beside NAME."""
    if term.weight:
        return None
    own = name.rsplit("/", 1)[-1]  # of several pretext tasks each has its terms under its name
    return max((other for other in names if own.startswith(f"{other}_")), key=len, default=None)
