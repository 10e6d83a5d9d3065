"""One file per objective, pretext and labelled alike, behind one interface."""

from headwater.objectives.classification import Classification
from headwater.objectives.masked_prediction import MaskedTokens
from headwater.objectives.next_token import NextToken
from headwater.objectives.objective import LabelledObjective, LossTerm, Objective, Task
from headwater.objectives.regression import Regression
from headwater.objectives.sequence_to_sequence import SequenceToSequence

__all__ = [
    "Classification",
    "LabelledObjective",
    "LossTerm",
    "MaskedTokens",
    "NextToken",
    "Objective",
    "Regression",
    "SequenceToSequence",
    "Task",
]
