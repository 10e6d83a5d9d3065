"""What training on new data costs on the old."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.evaluation.significance import Estimate, hierarchical_bootstrap


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The held-out loss of the parent's own data before and after a continued run, in nats.

    ``tasks`` names the pretext tasks whose loss it is, where they are not all of both runs.
    """

    before: float
    after: float
    change: Estimate
    tasks: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What it means, and what to do where it hurts."""
        move = f"from {self.before:.3f} to {self.after:.3f}"
        span = f"{self.change.value:+.3f}, 95 % {self.change.low:+.3f} … {self.change.high:+.3f}".replace(
            "-", "−"
        )
        loss = f"held-out loss of {' and '.join(self.tasks)}" if self.tasks else "held-out loss"
        if self.change.low > 0:
            return (
                f"On the data it came from the model forgot: its {loss} there rose {move} ({span}). To keep "
                "both, name the old data beside the new, or lower --set training.learning_rate."
            )
        if self.change.high < 0:
            return f"Nothing was forgotten: the {loss} on the data it came from fell {move} too ({span})."
        return (
            f"Nothing was forgotten that can be shown: the {loss} on the data it came from went {move} "
            f"({span})."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON types; the change with its interval."""
        return {
            "before": self.before,
            "after": self.after,
            "change": self.change.to_dict(),
            "tasks": list(self.tasks),
            "sentence": self.sentence,
        }


def forgetting(before: Sequence[float], after: Sequence[float], tasks: Sequence[str] = ()) -> Forgetting:
    """What became of the losses of the same held-out batches, in the same order; the batches are resampled in pairs."""
    old, new = np.array(before), np.array(after)
    change = hierarchical_bootstrap(new - old, rng=np.random.default_rng(0))
    return Forgetting(float(old.mean()), float(new.mean()), change, tuple(tasks))
