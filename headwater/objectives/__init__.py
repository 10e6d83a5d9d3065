"""One file per objective, pretext and labelled alike, behind one interface."""

from headwater.objectives.classification import Classification
from headwater.objectives.masked_prediction import MaskedTokens
from headwater.objectives.next_token import NextToken
from headwater.objectives.objective import LabelledObjective, LossTerm, Objective, Row, Task

LABELLED_OBJECTIVES: dict[str, type[LabelledObjective]] = {"classification": Classification}

__all__ = [
    "LABELLED_OBJECTIVES",
    "Classification",
    "LabelledObjective",
    "LossTerm",
    "MaskedTokens",
    "NextToken",
    "Objective",
    "Row",
    "Task",
]
