"""How well a model foretells text, every measure with its 95 % interval over other documents."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, bootstrap


@dataclass(frozen=True)
class LanguageReport:
    """What each token, character and byte of some documents costs a model that reads on from their beginning.

    Only ``nats_per_character`` and ``bits_per_byte`` = nats / (ln 2 · bytes) can be compared between vocabularies.
    ``perplexity`` = exp(nats a token).
    """

    documents: int
    tokens: int
    characters: int
    nats_per_token: Estimate
    perplexity: Estimate
    nats_per_character: Estimate
    bits_per_byte: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        counts = {"documents": self.documents, "tokens": self.tokens, "characters": self.characters}
        return counts | {name: found.to_dict() for name, found in self._measures().items()}

    def __str__(self) -> str:
        counts = f"{self.documents:,} documents, {self.tokens:,} tokens, {self.characters:,} characters"
        named = ((name.replace("_", " "), found) for name, found in self._measures().items())
        return "\n".join([counts, *(f"{name:<22}{found:.3f}" for name, found in named)])

    def _measures(self) -> dict[str, Estimate]:
        return {
            "nats_per_token": self.nats_per_token,
            "perplexity": self.perplexity,
            "nats_per_character": self.nats_per_character,
            "bits_per_byte": self.bits_per_byte,
        }


def language_report(nats: ArrayLike, tokens: ArrayLike, texts: list[str], *, seed: int = 0) -> LanguageReport:
    """The measures of documents whose tokens (N,) cost so many ``nats`` (N,) together; BadDataError without any."""
    if not texts:
        raise BadDataError("there is no document to judge; give a file with at least one")
    costs, counts = np.asarray(nats, np.float64), np.asarray(tokens, np.float64)
    characters = np.array([len(text) for text in texts], np.float64)
    sizes = np.array([len(text.encode()) for text in texts], np.float64)

    def estimate(of: Callable[[float], float], units: NDArray[np.float64]) -> Estimate:
        # The same resamples for every measure: one and the same surprise in other units.
        measure = lambda cost, unit: of(float(cost.sum() / max(unit.sum(), 1.0)))  # noqa: E731
        return bootstrap(measure, costs, units, rng=np.random.default_rng(seed))

    return LanguageReport(
        documents=len(texts),
        tokens=int(counts.sum()),
        characters=int(characters.sum()),
        nats_per_token=estimate(lambda mean: mean, counts),
        perplexity=estimate(lambda mean: float(np.exp(mean)), counts),
        nats_per_character=estimate(lambda mean: mean, characters),
        bits_per_byte=estimate(lambda mean: mean / log(2), sizes),
    )
