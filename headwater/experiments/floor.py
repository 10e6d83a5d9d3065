"""The floor under every experiment: logistic regression on plain features, as strong as it can fairly be.

Its regularisation is chosen on the same validation rows as the neural arms' learning rates.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Content
from headwater.data.kinds import Modality
from headwater.data.pair_cut import PairCut, RowCut
from headwater.data.pair_rows import modality_of_side
from headwater.errors import BadDataError
from headwater.experiments.plain_features import (
    ClipFeatures,
    Features,
    PairFeatures,
    PixelFeatures,
    SoundFeatures,
    WordFeatures,
)

REGULARISATIONS = (1.0, 10.0, 100.0)


class Floor(NamedTuple):
    """What a floor sees, its name in a sentence, and what it is in a table."""

    features: Callable[[Sequence[Content]], Features]
    name: str
    told: str


FLOORS: Mapping[Modality, Floor] = {
    "text": Floor(WordFeatures, "bag-of-words", "TF-IDF and logistic regression"),
    "image": Floor(PixelFeatures, "pixels", "logistic regression on pixels"),
    "audio": Floor(
        SoundFeatures, "spectrogram", "logistic regression on the spectrogram and its mean over time"
    ),
    "video": Floor(ClipFeatures, "frames", "logistic regression on small frames and where they change"),
}


def floor_of(cut: RowCut | None) -> Floor:
    """The floor under rows that are read so: texts where there is no cut, of pairs both sides together."""
    if not isinstance(cut, PairCut):
        return FLOORS["text" if cut is None else cut.modality]
    floors = [FLOORS[modality_of_side(side)] for side in cut.sides]
    first, second = (floor.features for floor in floors)
    return Floor(
        lambda contents: PairFeatures(contents, first, second),
        " and ".join(floor.name for floor in floors),
        " beside ".join(floor.told for floor in floors),
    )


@dataclass(frozen=True)
class Labelled:
    """Rows with the numbers of their labels."""

    contents: Sequence[Content]
    labels: Sequence[int]


@dataclass(frozen=True)
class Fit:
    """What one fit took; operations of products alone."""

    seconds: float
    flops: float


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
    fits: tuple[Fit, ...]
    """What fitting with each of them took."""
    shifted_predictions: NDArray[np.int64] | None = None


def fit_floor(
    train: Labelled,
    validation: Labelled,
    test: Sequence[Content],
    *,
    num_classes: int,
    floor: Floor = FLOORS["text"],
    shifted: Sequence[Content] | None = None,
    seed: int = 0,
) -> FloorResult:
    """Logistic regression on the plain features of the ``floor``, its C in 1, 10, 100 the best on validation rows.

    Labels are numbers in 0 … num_classes - 1. Raises BadDataError when the rows hold nothing to learn from. The
    features of texts were the best, or within two points of it, on AG News, movie review sentences and ChnSentiCorp, at
    8 labels a class and at all.
    """
    started = time.perf_counter()
    _check(train, validation)
    parts: list[Sequence[Content]] = [test, shifted or ()]
    if len(set(train.labels)) == 1:
        chosen, tried, fits = "the only class of the training rows", (), ()
        tables = [_constant(train, contents, num_classes) for contents in parts]
    else:
        features = floor.features(train.contents)
        fitted, scores, fits = _sweep(features, train, validation, seed)
        names = {strength: f"{features.names}, C = {strength:g}" for strength in fitted}
        best = max(scores, key=scores.__getitem__)
        chosen, tried = names[best], tuple((names[strength], score) for strength, score in scores.items())
        tables = [
            _probabilities(fitted[best], features.matrix(contents), num_classes)
            if contents
            else np.zeros((0, num_classes))
            for contents in parts
        ]
    return FloorResult(
        predictions=tables[0].argmax(axis=1),
        probabilities=tables[0],
        seconds=time.perf_counter() - started,
        chosen=chosen,
        tried=tried,
        fits=fits,
        shifted_predictions=None if shifted is None else tables[1].argmax(axis=1),
    )


def _check(train: Labelled, validation: Labelled) -> None:
    for part, rows in (("training", train), ("validation", validation)):
        if len(rows.contents) != len(rows.labels) or not len(rows.contents):
            raise BadDataError(
                f"found {len(rows.contents)} {part} rows and {len(rows.labels)} labels; expected as many of "
                "one as of the other, at least one"
            )


def _sweep(
    features: Features, train: Labelled, validation: Labelled, seed: int
) -> tuple[dict[float, Any], dict[float, float], tuple[Fit, ...]]:
    """The classifier of every regularisation, its accuracy on the validation rows, and what fitting it took."""
    matrix, validation_matrix = features.matrix(train.contents), features.matrix(validation.contents)
    true = np.asarray(validation.labels)
    fitted: dict[float, Any] = {}
    fits: list[Fit] = []
    for strength in REGULARISATIONS:
        began = time.perf_counter()
        fitted[strength] = _fit(features.classifier(strength, seed), matrix, train.labels)
        fits.append(Fit(time.perf_counter() - began, features.fitting_flops(fitted[strength], matrix)))
    scores = {
        strength: float(np.mean(classifier.predict(validation_matrix) == true))
        for strength, classifier in fitted.items()
    }
    return fitted, scores, tuple(fits)


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


def _constant(train: Labelled, contents: Sequence[Content], num_classes: int) -> NDArray[np.float64]:
    table = np.zeros((len(contents), num_classes))
    table[:, train.labels[0]] = 1.0
    return table
