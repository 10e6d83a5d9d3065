"""The floor under every text experiment: TF-IDF and logistic regression, as strong as it can fairly be.

Its regularisation is chosen on the same validation rows as the neural arms' learning rates.
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
LARGE_TRAINING_SET = 20_000
"""Above this many rows, what occurs in one row only is left out: most columns, none of the score."""
MAX_ITERATIONS = 200
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
    """Each regularisation with its accuracy on the validation rows."""
    shifted_predictions: NDArray[np.int64] | None = None


def is_unspaced(texts: Sequence[str]) -> bool:
    """Whether words run together: at least 30 % of the letters are Han, kana, Thai and the like."""
    letters = [letter for text in islice(texts, _SCRIPT_SAMPLE) for letter in text[:1000] if letter.isalpha()]
    unspaced = sum(unicodedata.name(letter, "").startswith(_UNSPACED_SCRIPTS) for letter in letters)
    return unspaced >= UNSPACED_SHARE * max(len(letters), 1)


def _vectorizers(texts: Sequence[str]) -> dict[str, Any]:
    """The kinds of features that fit the script of the texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    shared: dict[str, Any] = {"sublinear_tf": True, "min_df": 2 if len(texts) > LARGE_TRAINING_SET else 1}
    if is_unspaced(texts):
        return {"characters 1-3": TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **shared)}
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
    """Vectorizers fitted on the training texts, side by side; those that find nothing in them are left out."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.fitted: dict[str, Any] = {}
        for name, vectorizer in _vectorizers(texts).items():
            analyse = vectorizer.build_analyzer()
            if any(analyse(text) for text in texts):
                self.fitted[name] = vectorizer.fit(texts)
        if not self.fitted:
            raise BadDataError(
                "found no word or character to learn from in the training texts; check the text column"
            )

    def matrix(self, texts: Sequence[str]) -> Any:
        """Sparse: (rows, columns)."""
        from scipy.sparse import hstack

        return hstack([vectorizer.transform(texts) for vectorizer in self.fitted.values()], format="csr")


def _check(train: LabelledTexts, validation: LabelledTexts) -> None:
    for part, rows in (("training", train), ("validation", validation)):
        if len(rows.texts) != len(rows.labels) or not len(rows.texts):
            raise BadDataError(
                f"found {len(rows.texts)} {part} texts and {len(rows.labels)} labels; expected as many of "
                f"one as of "
                "the other, at least one"
            )


def _classifier(strength: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    # One regression a label, solved in the dual: as good as one for all labels, and several times faster where
    # there are far more features than rows.
    one = LogisticRegression(
        C=strength, solver="liblinear", dual=True, max_iter=MAX_ITERATIONS, random_state=seed
    )
    return OneVsRestClassifier(one)


def _fit(classifier: Any, matrix: Any, labels: Sequence[int]) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # An optimum not quite reached is a regularisation of its own, and the validation rows judge it like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(matrix, np.asarray(labels))


def _probabilities(classifier: Any, matrix: Any, num_classes: int) -> NDArray[np.float64]:
    table = np.zeros((matrix.shape[0], num_classes))
    table[:, classifier.classes_] = classifier.predict_proba(matrix)
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
    """Logistic regression on TF-IDF weights, its regularisation the best on the validation rows.

    Spaced scripts: word uni- and bigrams beside character 2- to 5-grams inside words. Scripts without blanks:
    character 1- to 3-grams. weight = (1 + log count) · log inverse document frequency, each kind of a row scaled
    to length 1; C in 1, 10, 100. Labels are numbers in 0 … num_classes - 1. Raises BadDataError when the texts
    hold nothing to learn from. These features were the best, or within two points of it, on AG News, movie review
    sentences and ChnSentiCorp, at 8 labels a class and at all.
    """
    started = time.perf_counter()
    _check(train, validation)
    parts: list[Sequence[str]] = [test_texts, shifted_texts or ()]
    if len(set(train.labels)) == 1:
        chosen, tried = "the only class of the training rows", ()
        tables = [_constant(train, texts, num_classes) for texts in parts]
    else:
        features = _Features(train.texts)
        fitted, scores = _sweep(features, train, validation, seed)
        names = {strength: f"{' and '.join(features.fitted)}, C = {strength:g}" for strength in fitted}
        best = max(scores, key=scores.__getitem__)
        chosen, tried = names[best], tuple((names[strength], score) for strength, score in scores.items())
        tables = [
            _probabilities(fitted[best], features.matrix(texts), num_classes)
            if texts
            else np.zeros((0, num_classes))
            for texts in parts
        ]
    return FloorResult(
        predictions=tables[0].argmax(axis=1),
        probabilities=tables[0],
        seconds=time.perf_counter() - started,
        chosen=chosen,
        tried=tried,
        shifted_predictions=None if shifted_texts is None else tables[1].argmax(axis=1),
    )


def _sweep(
    features: _Features, train: LabelledTexts, validation: LabelledTexts, seed: int
) -> tuple[dict[float, Any], dict[float, float]]:
    """The classifier of every regularisation, and its accuracy on the validation rows."""
    matrix, validation_matrix = features.matrix(train.texts), features.matrix(validation.texts)
    true = np.asarray(validation.labels)
    fitted = {
        strength: _fit(_classifier(strength, seed), matrix, train.labels) for strength in REGULARISATIONS
    }
    return fitted, {
        strength: float(np.mean(classifier.predict(validation_matrix) == true))
        for strength, classifier in fitted.items()
    }
