"""How good predicted numbers are, every measure with its 95 % interval over other test rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, bootstrap
from headwater.telling import Told

Values = NDArray[np.generic]


@dataclass(frozen=True, repr=False)
class RegressionReport(Told):
    """Correlations and errors of predicted numbers on one test set."""

    rows: int
    pearson: Estimate
    spearman: Estimate
    r2: Estimate
    mean_absolute_error: Estimate
    root_mean_squared_error: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return asdict(self)

    def __str__(self) -> str:
        named = {
            "Pearson": self.pearson,
            "Spearman": self.spearman,
            "R²": self.r2,
            "mean absolute error": self.mean_absolute_error,
            "root mean squared error": self.root_mean_squared_error,
        }
        return "\n".join([f"{self.rows} rows", *(f"{name:<26}{found:.3f}" for name, found in named.items())])


@dataclass(frozen=True, repr=False)
class NumbersReport(Told):
    """The measures of several numbers a row, one report each, in their order."""

    numbers: Sequence[RegressionReport]

    def to_dict(self) -> dict[str, Any]:
        """The rows, and the reports of the numbers in their order."""
        return {"rows": self.numbers[0].rows, "numbers": [found.to_dict() for found in self.numbers]}

    def __str__(self) -> str:
        return "\n".join(f"number {place}: {found}" for place, found in enumerate(self.numbers, start=1))


def _floats(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def pearson(predictions: Values, targets: Values) -> float:
    """The linear correlation of predictions and targets; 0 where either side never varies."""
    a, b = _floats(predictions), _floats(targets)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def ranks(values: Values) -> NDArray[np.float64]:
    """The rank of each value from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


def spearman(predictions: Values, targets: Values) -> float:
    """The correlation of the ranks: whether larger predictions go with larger targets."""
    return pearson(ranks(predictions), ranks(targets))


def r2(predictions: Values, targets: Values) -> float:
    """1 - Σ(y - ŷ)² / Σ(y - ȳ)²: the share of the variation explained; 0 where the targets never vary."""
    predicted, true = _floats(predictions), _floats(targets)
    variation = float(((true - true.mean()) ** 2).sum())
    return 1.0 - float(((true - predicted) ** 2).sum()) / variation if variation > 0 else 0.0


def mean_absolute_error(predictions: Values, targets: Values) -> float:
    """The mean of |y - ŷ|."""
    return float(np.abs(_floats(predictions) - _floats(targets)).mean())


def root_mean_squared_error(predictions: Values, targets: Values) -> float:
    """The root of the mean of (y - ŷ)²."""
    return float(np.sqrt(((_floats(predictions) - _floats(targets)) ** 2).mean()))


def regression_report(targets: ArrayLike, predictions: ArrayLike, *, seed: int = 0) -> RegressionReport:
    """All measures of ``predictions`` (N,) against ``targets`` (N,); BadDataError on what is not a number."""
    true, predicted = _floats(targets), _floats(predictions)
    for name, values in (("targets", true), ("predictions", predicted)):
        if not np.isfinite(values).all():
            raise BadDataError(f"found {name} that are not finite; leave out those rows or mend them")
    rng = np.random.default_rng(seed)
    return RegressionReport(
        rows=len(true),
        pearson=bootstrap(pearson, predicted, true, rng=rng),
        spearman=bootstrap(spearman, predicted, true, rng=rng),
        r2=bootstrap(r2, predicted, true, rng=rng),
        mean_absolute_error=bootstrap(mean_absolute_error, predicted, true, rng=rng),
        root_mean_squared_error=bootstrap(root_mean_squared_error, predicted, true, rng=rng),
    )
