"""Judging a language model on texts that it has not seen: how surprised it is by each document."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.piece_cache import Tokens
from headwater.data.problems import Problems
from headwater.data.readers import read_documents
from headwater.data.windows import FRAME
from headwater.evaluation.metrics.language import LanguageReport, language_report
from headwater.objectives import NextToken
from headwater.run.labelled import left_out
from headwater.run.reading import Reader
from headwater.sequence import Batch
from headwater.training.progress import Progress

Integers = NDArray[np.int64]


def judge_foretelling(
    reader: Reader, path: Path, *, text: tuple[str, ...] | None, progress: Progress
) -> LanguageReport:
    """What the documents of a file or folder cost the model.

    A document longer than the model reads is read in windows that begin half a window apart, and of each only the
    tokens are judged that no window before it held: all but a document's first tokens have half a window before them.
    """
    problems = Problems()
    texts = [row.text for row in read_documents([path], text=text, problems=problems, splits=None)]
    for line in left_out(problems):
        progress.say(line)
    encoded = reader.tokenizer.encode_batch(texts)
    owners, starts, first_judged = half_overlapping(
        [len(tokens) for tokens in encoded], reader.length - FRAME
    )
    progress.stage("windows", len(owners))
    nats = surprise(reader, encoded, owners, starts, progress)
    costs, counts = np.zeros(len(texts)), np.zeros(len(texts))
    for window, document in enumerate(owners.tolist()):
        inside = encoded[document][starts[window] : starts[window] + reader.length - FRAME]
        ends = starts[window] + len(inside) == len(encoded[document])
        judged = nats[window][first_judged[window] : len(inside) + ends]
        costs[document] += judged.sum(dtype=np.float64)
        counts[document] += len(judged)
    return language_report(costs, counts, texts)


def surprise(
    reader: Reader, encoded: list[Tokens], owners: Integers, starts: Integers, progress: Progress
) -> list[NDArray[np.float32]]:
    """-ln p of each token of each window, that of [SEP] behind them, padding after that."""
    objective, content = NextToken(reader.tokenizer), reader.length - FRAME
    done = 0

    def answer(batch: Batch) -> Tensor:
        nonlocal done
        done += len(batch.items)
        progress.update(done)
        return objective.nats(reader.model, batch)

    windows = [
        encoded[document][start : start + content]
        for document, start in zip(owners.tolist(), starts.tolist(), strict=True)
    ]
    return reader.each_row(answer, windows)


def half_overlapping(sizes: list[int], content: int) -> tuple[Integers, Integers, Integers]:
    """The document of each window of ``content`` tokens, where it starts, and the first of its tokens to be judged."""
    step = max(1, content // 2)
    counts = [1 + max(0, -(-(size - content) // step)) for size in sizes]
    owners = np.repeat(np.arange(len(sizes)), counts)
    number = np.concatenate([np.arange(windows) for windows in counts]) if counts else owners
    starts = number * step
    return owners, starts, np.where(number == 0, 0, content - step)
