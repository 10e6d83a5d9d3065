"""Which of two ways is ahead, in a sentence."""

from headwater.evaluation.significance import Estimate


def who_leads(apart: Estimate, measure: str, *, ahead: str, behind: str, level: str) -> str:
    """What the difference of a model to a baseline says: one of three sentences, and by how much."""
    if apart.low > 0:
        return f"{ahead}: {measure} is higher by {apart}."
    if apart.high < 0:
        return f"{behind}: {measure} is higher by {Estimate(-apart.value, -apart.high, -apart.low)}."
    return f"{level}: {measure} differs by {apart}."
