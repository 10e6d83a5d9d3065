"""A model that reads rows, texts or pictures: with which sequencer, how far, in which precision, on which device."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.excerpts import Excerpts
from headwater.data.kinds import PathLike
from headwater.data.sequencers import Sequencing, Tokenizer, vocabulary_in
from headwater.data.vector_store import VectorBlock, unit
from headwater.errors import BadDataError
from headwater.interchange import CompiledPen
from headwater.models import Model, Tower, TwoTowers, TwoTowerSettings, load_bundle, rounded
from headwater.models.generation import Pen, require_writer
from headwater.objectives import LabelledObjective
from headwater.run.fitting import Input, read_once
from headwater.run.folder import RunFolder
from headwater.run.starting import DEFAULT_LENGTH, model_folder, one_side, sequencer_of
from headwater.sequence import Batch
from headwater.training.precision import autocast, count_free_cores, tune_allocator, use_threads

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Reads every row once, texts the longest first, and answers in the order of the rows.

    ``check`` is asked before every batch, and raises to stop.
    """

    model: Model
    sequencer: Sequencing
    length: int
    precision: str = "fp32"
    device: torch.device = CPU
    check: Callable[[], None] | None = None
    tower: Tower | None = None
    """What makes vectors, where the model reads one side of pairs."""
    words: Tokenizer | None = None
    """What it writes with, where it reads no text."""
    pen: Pen | None = None
    """What texts are written with, where it is not our own loop."""

    @classmethod
    def of_run(cls, folder: RunFolder, *, data: PathLike | None = None) -> tuple["Reader", Mapping[str, Any]]:
        """The shipped model of a finished run on this machine's free cores, and its card.

        Of a run of pairs it is the side that reads ``data``, or text where these are not named; both sides where it was
        fine-tuned to answer them together.
        """
        tune_allocator()
        threads = count_free_cores()
        use_threads(threads)
        bundle = load_bundle(model_folder(folder.path))
        length = bundle.card.get("length")
        if not isinstance(length, int | None):
            raise BadDataError(
                f"{folder.path / 'model' / 'headwater.json'} is missing or was edited: 'length' is {length!r}; "
                "restore the file, or make the run again"
            )
        tower, words = None, None
        model, sequencer = bundle.model, sequencer_of(bundle)
        if not (isinstance(bundle.settings, TwoTowerSettings) and len(model.heads)):
            model, sequencer, tower, words = one_side(bundle, data)
        if folder.precision == "bf16" and tower is None:
            model = rounded(model)
        pen = None
        if folder.writes is not None:
            require_writer(model)
            pen = CompiledPen(model, words or vocabulary_in(sequencer, "this run"), folder.writes, threads)
        return cls(
            model=model.eval(),
            sequencer=sequencer,
            length=length or DEFAULT_LENGTH,
            precision=folder.precision,
            tower=tower and tower.eval(),
            words=words,
            pen=pen,
        ), bundle.card

    @property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary of what is read, or written; SettingsError where there is none."""
        return self.words or vocabulary_in(self.sequencer, "this run")

    def scores(self, objective: LabelledObjective, rows: Sequence[Input]) -> NDArray[np.float32]:
        """The objective's scores of every row: (rows, labels)."""
        return self.of_every_row(lambda batch: objective.scores(self.model, batch), rows)

    def vectors(self, rows: Sequence[Input]) -> NDArray[np.float32]:
        """The mean of each row's last hidden states, the vector of its tower, or that of both towers: (rows, width)."""
        return self.of_every_row(self._means, rows)

    def windows(self, texts: Sequence[str], *, first: int = 0) -> VectorBlock:
        """The windows of texts of any length, numbered from ``first``, and a vector of length 1 for each."""
        windows = Excerpts.of(texts, self.tokenizer, self.length)
        return VectorBlock(windows.texts + first, windows.spans, unit(self.vectors(windows.tokens)))

    @torch.no_grad()
    def of_every_row(self, answer: Callable[[Batch], Tensor], rows: Sequence[Input]) -> NDArray[np.float32]:
        """What ``answer`` gives for each row of a batch, in the order of the rows."""
        parts: list[NDArray[np.float32]] = []
        places: list[NDArray[np.int64]] = []
        for batch in self._batches(rows):
            with autocast(self.precision, self.device):
                parts.append(answer(batch).float().cpu().numpy())
            places.append(batch.items.numpy())
        if not parts:
            return np.zeros((0, 0), dtype=np.float32)
        together = np.concatenate(parts)
        ordered = np.empty_like(together)
        ordered[np.concatenate(places)] = together
        return ordered

    @torch.no_grad()
    def each_row(self, answer: Callable[[Batch], Tensor], rows: Sequence[Input]) -> list[NDArray[np.float32]]:
        """What ``answer`` gives for each row of a batch where rows differ in size, padding included."""
        found: dict[int, NDArray[np.float32]] = {}
        for batch in self._batches(rows):
            with autocast(self.precision, self.device):
                answers = answer(batch).float().cpu().numpy()
            found.update(zip(batch.items.tolist(), answers, strict=True))
        return [found[number] for number in range(len(rows))]

    def _batches(self, rows: Sequence[Input]) -> Iterator[Batch]:
        self.model.eval()
        for batch in read_once(rows, self.sequencer, self.length):
            if self.check is not None:
                self.check()
            yield batch.to(self.device)

    def _means(self, batch: Batch) -> Tensor:
        if self.tower is not None:
            return self.tower(batch.inputs, batch.layout)
        if isinstance(self.model.backbone, TwoTowers):
            return self.model.backbone.features(batch)
        hidden_states = self.model.encode(batch)
        real = batch.layout.real[..., None].to(hidden_states.dtype)
        return (hidden_states * real).sum(dim=1) / real.sum(dim=1).clamp_min(1)
