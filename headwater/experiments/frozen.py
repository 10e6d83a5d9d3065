"""The cheap extra columns of the gain table: what simple readers find in RUN's vectors without any fine-tuning."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.evaluation.probes import linear_predictions, neighbour_predictions
from headwater.evaluation.significance import hierarchical_bootstrap
from headwater.experiments.arms import Task
from headwater.experiments.plan import Budget
from headwater.experiments.wording import table_of
from headwater.run.reading import Reader
from headwater.run.starting import StartingPoint

PROBES = {"linear": linear_predictions, "neighbours": neighbour_predictions}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeScore:
    """The mean accuracy of a probe at a label budget, with its 95 % interval over seeds and test rows."""

    probe: str
    budget: Budget
    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """The five columns of ``gain.json``."""
        return asdict(self)


def probe_scores(
    start: StartingPoint,
    task: Task,
    draws: Mapping[Budget, Sequence[NDArray[np.int64]]],
    scored_rows: Sequence[int],
    device: torch.device,
) -> list[ProbeScore]:
    """Linear and nearest-neighbour probes on the very rows that the arms learnt from, one draw a seed.

    Every row is embedded once (``Reader.vectors``), the weights untouched.
    """
    used = np.unique(np.concatenate([rows for seeds in draws.values() for rows in seeds]))
    place = {int(row): number for number, row in enumerate(used)}
    judged = np.asarray(scored_rows)
    learnt, asked = task.train.take(used), task.test.take(judged)
    model = start.model("classification", seed=0, classes=len(task.labels)).to(device)
    reader = Reader(model=model, sequencer=start.sequencer, length=start.length, device=device)
    vectors = reader.vectors([*learnt.inputs, *asked.inputs])
    found: list[ProbeScore] = []
    for budget, seeds in draws.items():
        for name, predict in PROBES.items():
            right = [
                _right(predict, vectors, learnt.labels, asked.labels, [place[int(row)] for row in rows])
                for rows in seeds
            ]
            score = hierarchical_bootstrap(np.stack(right), rng=np.random.default_rng(0))
            mean, low, high = score.value, max(0.0, score.low), min(1.0, score.high)
            found.append(ProbeScore(probe=name, budget=budget, mean=mean, low=low, high=high))
    return found


def probe_table(scores: Sequence[ProbeScore]) -> str:
    """One line a probe, accuracy in points with its interval at each budget."""
    return table_of([(score.probe, score) for score in scores], "frozen RUN")


def _right(
    predict: Any,
    vectors: NDArray[np.float32],
    learnt: NDArray[np.int64],
    asked: NDArray[np.int64],
    rows: Sequence[int],
) -> NDArray[np.float64]:
    """Which of the judged rows a probe gets right that learnt from ``rows``."""
    both = np.concatenate([vectors[rows], vectors[len(learnt) :]])
    labels = np.concatenate([learnt[rows], asked])
    judged = np.arange(len(both)) >= len(rows)
    return (predict(both, labels, judged) == asked).astype(np.float64)
