"""The floor under every text experiment: TF-IDF and logistic regression, as strong as it can fairly be.

Features and regularisation are chosen on the same validation rows as the neural arms' learning rates.
"""

import time
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.errors import BadDataError

REGULARISATIONS = (1.0, 10.0, 100.0)
UNSPACED_SHARE = 0.3
SMALL_TRAINING_SET = 5_000
"""Above this many rows, what occurs in one row only is left out: most columns, none of the score."""
MAX_ITERATIONS = 500
_SCRIPT_SAMPLE = 200
_UNSPACED_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True)
class FloorResult:
    """The floor's answers on the test rows and what they took."""

    predictions: NDArray[np.int64]
    """The number of the predicted label, (N,)."""
    probabilities: NDArray[np.float64]
    """(N, classes); zero for a class that no training row has."""
    seconds: float
    chosen: str
    tried: tuple[tuple[str, float], ...]
    """Each choice of features and C with its accuracy on the validation rows."""
    shifted_predictions: NDArray[np.int64] | None = None


def is_unspaced(texts: Sequence[str]) -> bool:
    """Whether words run together: at least 30 % of the letters are Han, kana, Thai and the like."""
    letters = [letter for text in islice(texts, _SCRIPT_SAMPLE) for letter in text[:1000] if letter.isalpha()]
    unspaced = sum(unicodedata.name(letter, "").startswith(_UNSPACED_SCRIPTS) for letter in letters)
    return unspaced >= UNSPACED_SHARE * max(len(letters), 1)


def _vectorizers(unspaced: bool, min_rows: int) -> dict[str, Any]:
    """The kinds of features that fit the script."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    shared: dict[str, Any] = {"sublinear_tf": True, "min_df": min_rows}
    if unspaced:
        return {
            "characters 1-3": TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **shared),
            "characters 1-2": TfidfVectorizer(analyzer="char", ngram_range=(1, 2), **shared),
        }
    return {
        # The default token pattern drops words of one letter, which are whole words in many scripts.
        "words 1-2": TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared),
        "characters 2-5": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **shared),
    }


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the numbers of their labels."""

    texts: Sequence[str]
    labels: Sequence[int]


class _Features:
    """Vectorizers fitted on the training texts; those that find nothing in them are left out."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.unspaced = is_unspaced(texts)
        self.fitted: dict[str, Any] = {}
        self.matrices: dict[str, Any] = {}
        min_rows = 2 if len(texts) > SMALL_TRAINING_SET else 1
        for name, vectorizer in _vectorizers(self.unspaced, min_rows).items():
            analyse = vectorizer.build_analyzer()
            if any(analyse(text) for text in texts):
                self.matrices[name] = vectorizer.fit_transform(texts)
                self.fitted[name] = vectorizer
        if not self.fitted:
            raise BadDataError(
                "found no word or character to learn from in the training texts; check the text column"
            )

    def choices(self) -> list[tuple[str, ...]]:
        """Which features to try together, the widest first: it wins a tie on the validation rows."""
        alone = [(name,) for name in self.fitted]
        # The longer n-grams of an unspaced script hold the shorter ones already.
        return alone if self.unspaced or len(alone) == 1 else [tuple(self.fitted), *alone]

    def matrix(self, names: tuple[str, ...], texts: Sequence[str] | None = None) -> Any:
        """The features ``names`` of these texts, or of the training texts, side by side: (rows, columns), sparse."""
        from scipy.sparse import hstack

        parts = [
            self.matrices[name] if texts is None else self.fitted[name].transform(texts) for name in names
        ]
        return hstack(parts, format="csr")


@dataclass(frozen=True)
class _Candidate:
    features: _Features
    names: tuple[str, ...]
    classifier: Any
    validation_score: float

    @property
    def words(self) -> str:
        return f"{' and '.join(self.names)}, C = {self.classifier.C:g}"


def _check(train: LabelledTexts, validation: LabelledTexts) -> None:
    for part, rows in (("training", train), ("validation", validation)):
        if len(rows.texts) != len(rows.labels) or not len(rows.texts):
            raise BadDataError(
                f"found {len(rows.texts)} {part} texts and {len(rows.labels)} labels; expected as many of "
                f"one as of "
                "the other, at least one"
            )


def _candidates(train: LabelledTexts, validation: LabelledTexts, seed: int) -> list[_Candidate]:
    from sklearn.linear_model import LogisticRegression

    features = _Features(train.texts)
    true = np.asarray(validation.labels)
    found: list[_Candidate] = []
    for names in features.choices():
        matrix, validation_matrix = features.matrix(names), features.matrix(names, validation.texts)
        for strength in REGULARISATIONS:
            classifier = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS, random_state=seed)
            _fit(classifier, matrix, train.labels)
            score = float(np.mean(classifier.predict(validation_matrix) == true))
            found.append(_Candidate(features, names, classifier, score))
    return found


def _fit(classifier: Any, matrix: Any, labels: Sequence[int]) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # An optimum not quite reached is a regularisation of its own, and the validation rows judge it like
        # any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(matrix, np.asarray(labels))


def _probabilities(candidate: _Candidate, texts: Sequence[str], num_classes: int) -> NDArray[np.float64]:
    table = np.zeros((len(texts), num_classes))
    if len(texts):
        matrix = candidate.features.matrix(candidate.names, texts)
        table[:, candidate.classifier.classes_] = candidate.classifier.predict_proba(matrix)
    return table


def _constant(train: LabelledTexts, test_texts: Sequence[str], num_classes: int) -> NDArray[np.float64]:
    table = np.zeros((len(test_texts), num_classes))
    table[:, train.labels[0]] = 1.0
    return table


def fit_floor(
    train: LabelledTexts,
    validation: LabelledTexts,
    test_texts: Sequence[str],
    *,
    num_classes: int,
    shifted_texts: Sequence[str] | None = None,
    seed: int = 0,
) -> FloorResult:
    """Logistic regression on TF-IDF weights of words and characters, the best choice on the validation rows.

    Spaced scripts: word uni- and bigrams, alone or joined with character 2- to 5-grams inside words.
    Scripts without blanks: character 1- to 3-grams or 1- to 2-grams. weight = (1 + log count) · log inverse
    document frequency, rows of length 1; C in 1, 10, 100. Labels are numbers in 0 … num_classes - 1. Raises
    BadDataError when the texts hold nothing to learn from. Choice of features: measured on AG News and
    ChnSentiCorp.
    """
    started = time.perf_counter()
    _check(train, validation)
    parts: list[Sequence[str]] = [test_texts, shifted_texts or ()]
    if len(set(train.labels)) == 1:
        chosen, tried = "the only class of the training rows", ()
        tables = [_constant(train, texts, num_classes) for texts in parts]
    else:
        candidates = _candidates(train, validation, seed)
        best = max(candidates, key=lambda candidate: candidate.validation_score)
        chosen, tried = best.words, tuple((each.words, each.validation_score) for each in candidates)
        tables = [_probabilities(best, texts, num_classes) for texts in parts]
    return FloorResult(
        predictions=tables[0].argmax(axis=1),
        probabilities=tables[0],
        seconds=time.perf_counter() - started,
        chosen=chosen,
        tried=tried,
        shifted_predictions=None if shifted_texts is None else tables[1].argmax(axis=1),
    )
