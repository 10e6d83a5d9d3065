"""BM25: what counting words finds, the baseline of every search by vectors.

Robertson and Zaragoza 2009, The Probabilistic Relevance Framework, doi:10.1561/1500000019. Shape letters: Q queries, N
documents.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headwater.data.characters import marks
from headwater.data.minhash import fold

K1 = 1.2
B = 0.75
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)


class BM25:
    """score(q, d) = Σ_t∈q idf(t) · f · (k1 + 1) / (f + k1 · (1 - b + b · |d| / mean |d|)), f = how often t is in d.

    idf(t) = ln(1 + (N - n + ½) / (n + ½)), n = documents with t: never negative. A term that a query has twice counts
    twice. k1 = 1.2, b = 0.75. No stemming, no stop words.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        self.documents = len(documents)
        self._numbers: dict[str, int] = {}
        owners: list[int] = []
        found: list[int] = []
        counts: list[int] = []
        for number, document in enumerate(documents):
            for term, count in Counter(terms(document)).items():
                owners.append(number)
                found.append(self._numbers.setdefault(term, len(self._numbers)))
                counts.append(count)
        order = np.argsort(found, kind="stable")
        self._owners = np.array(owners, np.int64)[order]
        self._first = np.searchsorted(np.array(found, np.int64)[order], np.arange(len(self._numbers) + 1))
        self._weights = self._weighted(np.array(counts, np.float64)[order])

    def scores(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """The score of every document for every query: (Q, N)."""
        scores = np.zeros((len(queries), self.documents))
        for row, query in zip(scores, queries, strict=True):
            for number in (self._numbers[term] for term in terms(query) if term in self._numbers):
                own = slice(self._first[number], self._first[number + 1])
                row[self._owners[own]] += self._weights[own]  # a document stands once among those of a term
        return scores

    def _weighted(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each term adds to each of its documents."""
        sizes = np.bincount(self._owners, counts, self.documents)
        norm = K1 * (1 - B + B * sizes / max(sizes.mean(), 1e-9))
        holding = np.diff(self._first)
        rarity = np.log(1 + (self.documents - holding + 0.5) / (holding + 0.5))
        return np.repeat(rarity, holding) * counts * (K1 + 1) / (counts + norm[self._owners])


def terms(text: str) -> Iterator[str]:
    """The words of a text; of scripts without blanks (Chinese, Japanese, Thai) the characters and their pairs.

    Case, width and compatible forms are folded away.
    """
    for match in _runs().finditer(fold(text)):
        run = match.group()
        if match.group(1) is None:
            yield run
        else:
            yield from run
            yield from map("".join, pairwise(run))


@cache
def _runs() -> re.Pattern[str]:
    return re.compile(rf"([{_UNSPACED}]+)|(?:[^\W_{_UNSPACED}]|(?![{_UNSPACED}])[{marks()}])+")
