"""A model that reads rows of text: with which vocabulary, how far, in which precision, on which device."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.assembly import Example as EncodedExample
from headwater.data.batches import evaluation_batches
from headwater.data.excerpts import Excerpts
from headwater.data.tokenizer import Tokenizer
from headwater.data.vector_store import VectorBlock, unit
from headwater.errors import BadDataError
from headwater.models import Model, load_bundle
from headwater.objectives import LabelledObjective
from headwater.run.folder import RunFolder
from headwater.run.starting import DEFAULT_LENGTH, model_folder, vocabulary_of
from headwater.sequence import Batch
from headwater.training.precision import autocast, count_free_cores, tune_allocator, use_threads

BATCH_TOKENS = 8_192
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Reads every row once, the longest first, and answers in the order of the rows.

    ``check`` is asked before every batch, and raises to stop.
    """

    model: Model
    tokenizer: Tokenizer
    length: int
    precision: str = "fp32"
    device: torch.device = CPU
    check: Callable[[], None] | None = None

    @classmethod
    def of_run(cls, folder: RunFolder) -> tuple["Reader", Mapping[str, Any]]:
        """The shipped model of a finished run on this machine's free cores, and its card."""
        tune_allocator()
        use_threads(count_free_cores())
        bundle = load_bundle(model_folder(folder.path))
        length = bundle.card.get("length")
        if not isinstance(length, int | None):
            raise BadDataError(
                f"{folder.path / 'model' / 'headwater.json'} is missing or was edited: 'length' is {length!r}; "
                "restore the file, or make the run again"
            )
        tokenizer = vocabulary_of(bundle)
        return cls(
            model=bundle.model.eval(), tokenizer=tokenizer, length=length or DEFAULT_LENGTH
        ), bundle.card

    def scores(self, objective: LabelledObjective, tokens: Sequence[EncodedExample]) -> NDArray[np.float32]:
        """The objective's scores of every row: (rows, labels)."""
        return self.of_every_row(lambda batch: objective.scores(self.model, batch), tokens)

    def vectors(self, tokens: Sequence[EncodedExample]) -> NDArray[np.float32]:
        """The mean of each row's last hidden states: (rows, width)."""
        return self.of_every_row(self._means, tokens)

    def windows(self, texts: Sequence[str], *, first: int = 0) -> VectorBlock:
        """The windows of texts of any length, numbered from ``first``, and a vector of length 1 for each."""
        windows = Excerpts.of(texts, self.tokenizer, self.length)
        return VectorBlock(windows.texts + first, windows.spans, unit(self.vectors(windows.tokens)))

    @torch.no_grad()
    def of_every_row(
        self, answer: Callable[[Batch], Tensor], tokens: Sequence[EncodedExample]
    ) -> NDArray[np.float32]:
        """What ``answer`` gives for each row of a batch, in the order of the rows."""
        parts: list[NDArray[np.float32]] = []
        places: list[NDArray[np.int64]] = []
        for batch in self._batches(tokens):
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
    def each_row(
        self, answer: Callable[[Batch], Tensor], tokens: Sequence[EncodedExample]
    ) -> list[NDArray[np.float32]]:
        """What ``answer`` gives for each row of a batch where rows differ in size, padding included."""
        found: dict[int, NDArray[np.float32]] = {}
        for batch in self._batches(tokens):
            with autocast(self.precision, self.device):
                rows = answer(batch).float().cpu().numpy()
            found.update(zip(batch.items.tolist(), rows, strict=True))
        return [found[number] for number in range(len(tokens))]

    def _batches(self, tokens: Sequence[EncodedExample]) -> Iterator[Batch]:
        self.model.eval()
        for batch in evaluation_batches(
            tokens, self.tokenizer, tokens_per_batch=BATCH_TOKENS, length=self.length
        ):
            if self.check is not None:
                self.check()
            yield batch.to(self.device)

    def _means(self, batch: Batch) -> Tensor:
        hidden_states = self.model.encode(batch)
        real = batch.layout.real[..., None].to(hidden_states.dtype)
        return (hidden_states * real).sum(dim=1) / real.sum(dim=1).clamp_min(1)
