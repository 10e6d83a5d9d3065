"""Floor 1: the user's files → examples → sequences → batches."""

from headwater.data.examples import Example, LabelledSet
from headwater.data.files import Source, find_sources
from headwater.data.inspection import Inspection, inspect
from headwater.data.kinds import split_of_name
from headwater.data.problems import Problem, Problems
from headwater.data.readers import read_documents, read_labelled
from headwater.data.splits import Deduplicator, Fingerprints, HoldOut, split_of, text_digest

__all__ = [
    "Deduplicator",
    "Example",
    "Fingerprints",
    "HoldOut",
    "Inspection",
    "LabelledSet",
    "Problem",
    "Problems",
    "Source",
    "find_sources",
    "inspect",
    "read_documents",
    "read_labelled",
    "split_of",
    "split_of_name",
    "text_digest",
]
