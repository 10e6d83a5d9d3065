"""What pretext tasks of pairs have in common."""

from typing import ClassVar

from headwater.models import Model, TwoTowers
from headwater.objectives.objective import Objective, Reads


class PairObjective(Objective):
    """A pretext task whose examples have two sides: ``inputs`` and ``targets`` of a batch."""

    needs: ClassVar[Reads] = "sides"


def towers_of(model: Model) -> TwoTowers:
    """The two towers of a model that reads pairs."""
    assert isinstance(model.backbone, TwoTowers), "pairs are read by two towers"
    return model.backbone
