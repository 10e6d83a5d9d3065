"""Beam search: the most probable texts among those that a few rows per source can follow.

Shape letters: N sources, K beams, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from headwater.errors import UsageError
from headwater.models.generation.sampling import Sampling
from headwater.models.generation.writer import Prompt, writer_for
from headwater.models.model import Model

NEVER = float("-inf")
Stops = Callable[[Sequence[int]], bool]
"""Whether a text of these tokens, those of its prompt left out, holds a string that ends it."""


class Hypothesis(NamedTuple):
    """One finished text: its tokens without the prompt and without [SEP], and its normalised score.

    A text that a stop string ends has the tokens up to that which completes it, and their score.
    """

    tokens: tuple[int, ...]
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BeamSearch:
    """Keep the ``beams`` best beginnings of each text; finished ones compete by log p / ((5 + n) / 6)^α.

    n counts the tokens with [SEP]; ``length_penalty`` α above 0 favours longer texts. Source: Wu et al. 2016,
    section 7, arXiv:1609.08144; Vaswani et al. 2017 use 4 beams and α = 0.6.
    """

    beams: int = 5
    length_penalty: float = 0.6
    rules: Sampling = field(default_factory=Sampling)
    """Its rules of repetition hold for beams too; its temperature does not."""

    def __post_init__(self) -> None:
        if self.beams < 1:
            raise UsageError(f"beams = {self.beams}; expected 1 or more")
        if not -10.0 <= self.length_penalty <= 10.0:
            raise UsageError(f"length_penalty = {self.length_penalty}; expected a number from -10 to 10")

    @torch.no_grad()
    def search(
        self,
        model: Model,
        prompts: Sequence[Prompt],
        *,
        end: int,
        padding: int,
        most: int,
        stops: Stops | None = None,
    ) -> list[list[Hypothesis]]:
        """At most ``beams`` texts for each prompt, the best first.

        A text that reaches ``most`` tokens, or as many as its prompt allows, ends there.
        """
        writer, logits = writer_for(model, prompts, room=most, padding=padding)
        searches = [_Search(self, prompt, prompt.room(most), stops or _never) for prompt in prompts]
        each = torch.arange(len(prompts), device=logits.device).repeat_interleave(self.beams)
        writer.select(each, beams=self.beams)
        logits = logits.repeat_interleave(self.beams, dim=0)
        open_ = list(searches)
        for step in range(1, most + 1):
            logits = self.rules.ruled(logits.float(), [text for search in open_ for text in search.texts])
            scores = logits.log_softmax(dim=-1).unflatten(0, (len(open_), self.beams))
            scores = (
                scores + torch.tensor([search.scores for search in open_], device=scores.device)[..., None]
            )
            # Twice as many as there are beams: even if all beams end, as many go on.
            best = scores.flatten(1).topk(min(2 * self.beams, scores[0].numel()), dim=-1)
            vocabulary = scores.shape[-1]
            for search, values, places in zip(
                open_, best.values.tolist(), best.indices.tolist(), strict=True
            ):
                search.extend(values, [divmod(place, vocabulary) for place in places], end, step)
            rows = [
                number * self.beams + origin
                for number, search in enumerate(open_)
                if not search.over
                for origin in search.origins
            ]
            open_ = [search for search in open_ if not search.over]
            if not open_:
                break
            writer.select(torch.tensor(rows, device=logits.device), beams=self.beams)
            tokens = [text[-1] for search in open_ for text in search.texts]
            logits = writer.feed(torch.tensor(tokens, device=logits.device)[:, None])
        return [search.best() for search in searches]


class _Search:
    """The beams of one prompt and the texts it has finished."""

    def __init__(self, rule: BeamSearch, prompt: Prompt, most: int, stops: Stops) -> None:
        self._rule, self._most, self._prompt, self._stops = rule, most, len(prompt.tokens), stops
        self.texts = [prompt.tokens.tolist() for _ in range(rule.beams)]
        self.scores = [0.0, *[NEVER] * (rule.beams - 1)]  # all beams begin alike: one of them is enough
        self.origins: list[int] = []
        self.over = False
        self._finished: list[Hypothesis] = []

    def extend(self, values: Sequence[float], places: Sequence[tuple[int, int]], end: int, step: int) -> None:
        """Go on with the best extensions of all beams; those that end are put aside."""
        texts, scores, origins = [], [], []
        beams = self._rule.beams
        for rank, (value, (beam, token)) in enumerate(zip(values, places, strict=True)):
            if value == NEVER:
                continue
            text = self.texts[beam] if token == end else [*self.texts[beam], token]
            if token == end or self._stops(text[self._prompt :]):
                if rank < beams:  # what no beam would follow does not finish either
                    self._finish(text, value, step)
            elif len(texts) < beams:
                texts.append(text)
                scores.append(value)
                origins.append(beam)
        if step == self._most or not texts:
            for text, score in zip(texts, scores, strict=True):
                self._finish(text, score, step)
            self.over = True
            return
        missing = beams - len(texts)  # fewer tokens than beams: empty beams that nothing can follow
        self.texts = texts + [texts[0]] * missing
        self.scores = scores + [NEVER] * missing
        self.origins = origins + [origins[0]] * missing
        self.over = self._nothing_better_can_come(step)

    def best(self) -> list[Hypothesis]:
        """The finished texts, the best first."""
        return sorted(self._finished, key=lambda hypothesis: -hypothesis.score)[: self._rule.beams]

    def _finish(self, text: Sequence[int], score: float, step: int) -> None:
        self._finished.append(Hypothesis(tuple(text[self._prompt :]), score / self._penalty(step)))

    def _penalty(self, tokens: int) -> float:
        return ((5 + tokens) / 6) ** self._rule.length_penalty

    def _nothing_better_can_come(self, step: int) -> bool:
        if len(self._finished) < self._rule.beams:
            return False
        # log p only falls; the penalty is largest at one of the ends of what is left.
        attainable = max(max(self.scores) / self._penalty(n) for n in (step + 1, self._most))
        worst = self.best()[-1].score
        return worst >= attainable


def _never(text: Sequence[int]) -> bool:
    """No string ends a text."""
    del text
    return False
