"""Which token comes next: the most probable one, or a draw from a sharpened and shortened list.

Shape letters: B rows, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.errors import UsageError
from headwater.randomness import Draws

NEVER = float("-inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How the next token is chosen from its scores.

    ``temperature`` divides the scores; 0 takes the most probable token. ``top_k`` keeps the k most probable,
    ``top_p`` the fewest whose probabilities reach p (Holtzman et al. 2020, arXiv:1904.09751), ``min_p`` those at
    least min_p times as probable as the first (Nguyen et al. 2024, arXiv:2407.01082).
    ``repetition_penalty`` divides positive scores of tokens that stand in the text already, and multiplies negative
    ones (Keskar et al. 2019, arXiv:1909.05858). ``no_repeat_ngram`` forbids a run of so many tokens to come twice.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("temperature", 0.0, 100.0), ("repetition_penalty", 0.01, 100.0)):
            if not low <= getattr(self, name) <= high:
                raise UsageError(
                    f"{name} = {getattr(self, name)}; expected a number from {low:g} to {high:g}"
                )
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise UsageError(f"{name} = {value}; expected a share above 0 and up to 1")
        if (self.top_k is not None and self.top_k < 1) or self.no_repeat_ngram < 0:
            raise UsageError(
                f"top_k = {self.top_k}, no_repeat_ngram = {self.no_repeat_ngram}; expected whole numbers above 0"
            )

    def choose(
        self, logits: Tensor, texts: Sequence[Sequence[int]], items: Sequence[int], step: int
    ) -> Tensor:
        """The next token of each row: (B, V) → (B,).

        ``texts`` are the tokens of each row so far; the draw of a row depends on (seed, item, step) alone, not on
        the company that it is in.
        """
        logits = self.ruled(logits.float(), texts)
        if self.temperature == 0.0:
            return logits.argmax(dim=-1)
        kept = self._shortened((logits / self.temperature).softmax(dim=-1))
        drawn = Draws(self.seed, step, list(items)).uniform("next token", 1)
        total = kept.double().cumsum(dim=-1)
        reached = torch.from_numpy(drawn).to(total.device) * total[:, -1:]
        return (total <= reached).sum(dim=-1).clamp_max(logits.shape[-1] - 1)

    def ruled(self, logits: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
        """The scores after what the text so far forbids or discourages."""
        if self.repetition_penalty == 1.0 and not self.no_repeat_ngram:
            return logits
        logits = logits.clone()
        for row, text in zip(logits, texts, strict=True):
            if self.repetition_penalty != 1.0 and text:
                seen = torch.tensor(sorted(set(text)), device=row.device)
                scores = row[seen]
                row[seen] = torch.where(
                    scores > 0, scores / self.repetition_penalty, scores * self.repetition_penalty
                )
            if banned := _would_repeat(text, self.no_repeat_ngram):
                row[torch.tensor(sorted(banned), device=row.device)] = NEVER
        return logits

    def _shortened(self, probabilities: Tensor) -> Tensor:
        """The probabilities with those that are out of the draw at 0."""
        kept = probabilities
        if self.top_k is not None and self.top_k < kept.shape[-1]:
            kept = kept.masked_fill(kept < kept.topk(self.top_k, dim=-1).values[:, -1:], 0.0)
        if self.top_p is not None:
            ordered, order = kept.sort(dim=-1, descending=True, stable=True)
            before = ordered.cumsum(dim=-1) - ordered
            ordered = ordered.masked_fill(before >= self.top_p * ordered.sum(dim=-1, keepdim=True), 0.0)
            kept = torch.zeros_like(kept).scatter(-1, order, ordered)
        if self.min_p is not None:
            kept = kept.masked_fill(kept < self.min_p * kept.amax(dim=-1, keepdim=True), 0.0)
        return kept


def _would_repeat(text: Sequence[int], size: int) -> set[int]:
    """The tokens that would end a run of ``size`` tokens which the text holds already."""
    if not size or len(text) < size:
        return set()
    last = tuple(text[len(text) - size + 1 :])
    return {
        text[start + size - 1]
        for start in range(len(text) - size + 1)
        if tuple(text[start : start + size - 1]) == last
    }
