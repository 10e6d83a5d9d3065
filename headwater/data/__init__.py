"""Floor 1: the user's files → examples → sequences → batches."""

from headwater.data.examples import Example, LabelledSet
from headwater.data.problems import Problem, Problems
from headwater.data.splits import Deduplicator, Fingerprints, HoldOut, split_of, text_digest

__all__ = [
    "Deduplicator",
    "Example",
    "Fingerprints",
    "HoldOut",
    "LabelledSet",
    "Problem",
    "Problems",
    "split_of",
    "text_digest",
]
