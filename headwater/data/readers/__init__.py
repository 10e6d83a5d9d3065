"""From the user's files to examples: one decoder each for plain text, delimited, JSON and columnar tables."""

from headwater.data.readers.documents import read_documents
from headwater.data.readers.labelled import read_labelled

__all__ = ["read_documents", "read_labelled"]
