"""How well a model foretells text, every measure with its 95 % interval over other documents."""

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, bootstrap
from headwater.telling import Told


@dataclass(frozen=True, repr=False)
class LanguageReport(Told):
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
        alone = ["one document: nothing says how much another would differ"] * (self.documents == 1)
        return "\n".join([counts, *(f"{name:<22}{found:.3f}" for name, found in named), *alone])

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

    def estimate(units: NDArray[np.float64]) -> Estimate:
        # The same resamples for every measure: one and the same surprise in other units.
        measure = lambda cost, unit: float(cost.sum() / max(unit.sum(), 1.0))  # noqa: E731
        return bootstrap(measure, costs, units, rng=np.random.default_rng(seed))

    a_token, a_byte = estimate(counts), estimate(sizes)
    with np.errstate(over="ignore"):
        perplexity = Estimate(*(float(np.exp(nats)) for nats in (a_token.value, a_token.low, a_token.high)))
    return LanguageReport(
        documents=len(texts),
        tokens=int(counts.sum()),
        characters=int(characters.sum()),
        nats_per_token=a_token,
        perplexity=perplexity,
        nats_per_character=estimate(characters),
        bits_per_byte=Estimate(*(nats / log(2) for nats in (a_byte.value, a_byte.low, a_byte.high))),
    )
