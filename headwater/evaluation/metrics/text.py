"""How good written texts are beside the texts of people, every number with its 95 % interval over other test rows.

Shape letters: N rows, R resamples.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.data.characters import WITHOUT_BLANKS, marks
from headwater.data.scripts import script_shares
from headwater.errors import BadDataError
from headwater.evaluation.metrics.chrf import chrf_of, streams_of
from headwater.evaluation.metrics.written import Written, some_of, told
from headwater.evaluation.significance import RESAMPLES, Estimate, hierarchical_bootstrap, interval
from headwater.telling import Told

Integers = NDArray[np.int64]
ORDERS = 4
"""BLEU counts runs of one to four words."""


@dataclass(frozen=True, repr=False)
class TextReport(Told):
    """What is found of written texts on one test set."""

    rows: int
    bleu: Estimate
    """Cased, on detokenised text, 0 to 100; see ``signature``."""
    chrf: Estimate
    """Runs of one to six characters, 0 to 100; see ``chrf_signature``."""
    rouge_l: Estimate
    """Mean F1 of the longest common subsequence of words (Chinese and Japanese: characters), 0 to 100."""
    exact: Estimate
    """Share of texts that are the very one of the reference, 0 to 100."""
    signature: str
    """How BLEU was computed, in sacrebleu's words: with it the number can be compared."""
    chrf_signature: str
    """The same of chrF."""
    examples: tuple[Written, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return {
            "rows": self.rows,
            "bleu": self.bleu.to_dict(),
            "chrf": self.chrf.to_dict(),
            "rouge_l": self.rouge_l.to_dict(),
            "exact": self.exact.to_dict(),
            "signature": self.signature,
            "chrf_signature": self.chrf_signature,
            "examples": [example.to_dict() for example in self.examples],
        }

    def __str__(self) -> str:
        lines = [f"{self.rows} rows"]
        named = {
            "BLEU": self.bleu,
            "chrF": self.chrf,
            "ROUGE-L": self.rouge_l,
            "exactly the same": self.exact,
        }
        lines += [f"{name:<18}{found:.1f}" for name, found in named.items()]
        signatures = {"BLEU": self.signature, "chrF": self.chrf_signature}
        lines += [f"{name} by sacrebleu: {how}" for name, how in signatures.items()]
        return "\n".join(filter(None, [*lines, told(self.examples)]))


def text_report(
    written: Sequence[str],
    references: Sequence[tuple[str, ...]],
    *,
    sources: Sequence[str] = (),
    seed: int = 0,
) -> TextReport:
    """All measures of written texts against one reference each, or several; with ``sources``, some to look at.

    Of several references the nearest one counts, by chrF for chrF and by ROUGE-L for ROUGE-L; BLEU's runs may stand in
    any.
    """
    if len(written) != len(references) or not references:
        raise BadDataError(
            f"found {len(written)} texts and {len(references)} references; expected as many of both, at least one"
        )
    rng = np.random.default_rng(seed)
    bleu, signature = bleu_of(written, references, rng=rng)
    pairs = list(zip(written, references, strict=True))
    overlaps = np.array([100.0 * max(rouge_l(text, one) for one in several) for text, several in pairs])
    same = np.array([100.0 * any(text.strip() == one.strip() for one in several) for text, several in pairs])
    common, exact = _mean(overlaps, rng), _mean(same, rng)
    by_characters, chrf_signature = chrf_of(written, references, rng=rng)
    return TextReport(
        rows=len(references),
        bleu=bleu,
        chrf=by_characters,
        rouge_l=common,
        exact=exact,
        signature=signature,
        chrf_signature=chrf_signature,
        examples=some_of(sources, [several[0] for several in references], written) if sources else (),
    )


def bleu_of(
    written: Sequence[str],
    references: Sequence[tuple[str, ...]],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Estimate, str]:
    """BLEU by sacrebleu, its interval over resampled rows, and its signature.

    Every row's counts are taken once; BLEU of a resample follows from their sums. Papineni et al. 2002,
    doi:10.3115/1073083.1073135; Post 2018, arXiv:1804.08771; Koehn 2004 for the bootstrap.
    """
    from sacrebleu.metrics.bleu import BLEU  # heavy, and needed for texts alone

    metric = BLEU(tokenize=bleu_tokens([one for several in references for one in several]))
    counts = np.array(
        [_counts(metric, text, several) for text, several in zip(written, references, strict=True)]
    )

    def bleu(sums: Integers) -> float:
        hits, totals = sums[:ORDERS].tolist(), sums[ORDERS : 2 * ORDERS].tolist()
        score = BLEU.compute_bleu(hits, totals, int(sums[-2]), int(sums[-1]), smooth_method="exp")
        return float(score.score)

    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    found = interval(bleu(counts.sum(axis=0)), np.array([bleu(sums) for sums in weights @ counts]))
    metric.corpus_score(
        list(written), streams_of(references)
    )  # its signature tells how many references there are
    return found, metric.get_signature().format()


def bleu_tokens(references: Sequence[str]) -> str:
    """How sacrebleu cuts texts like these into words: "zh" where they are Chinese, "char" for other scripts without
    blanks, "13a" elsewhere."""
    shares = script_shares(references)
    if shares.get("Kana", 0.0) > 0.1 or shares.get("Thai", 0.0) > 0.3:
        return "char"
    return "zh" if shares.get("Han", 0.0) > 0.3 else "13a"


def _counts(metric: Any, text: str, references: Sequence[str]) -> list[int]:
    score = metric.corpus_score([text], [[one] for one in references])
    return [*score.counts, *score.totals, score.sys_len, score.ref_len]


def rouge_l(written: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1; case and punctuation do not count.

    2·P·R / (P + R) with P = LCS / written words, R = LCS / reference words. Lin 2004, section 3,
    aclanthology.org/W04-1013.
    """
    mine, theirs = (_words().findall(text.casefold()) for text in (written, reference))
    common = _longest_common_subsequence(mine, theirs)
    return 2.0 * common / (len(mine) + len(theirs)) if common else 0.0


def _longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    lengths = [0] * (len(second) + 1)
    for word in first:
        before = 0  # of the row above, one column to the left
        for column, other in enumerate(second, 1):
            above = lengths[column]
            lengths[column] = before + 1 if word == other else max(above, lengths[column - 1])
            before = above
    return lengths[-1]


def _mean(values: NDArray[np.float64], rng: np.random.Generator) -> Estimate:
    return hierarchical_bootstrap(values, rng=rng)


@cache
def _words() -> re.Pattern[str]:
    return re.compile(rf"[{WITHOUT_BLANKS}]|(?:[^\W_{WITHOUT_BLANKS}]|[{marks()}])+")
