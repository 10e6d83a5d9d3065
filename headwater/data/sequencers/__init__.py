"""How an example becomes a sequence: text by a vocabulary, pictures by patches."""

from headwater.data.sequencers.codes import CodedPatches
from headwater.data.sequencers.patches import Patches
from headwater.data.sequencers.sides import Sides, side_of
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError

Sequencer = Tokenizer | Patches
Sequencing = Sequencer | Sides
"""Of one kind of data, or of pairs."""


def vocabulary_in(sequencer: Sequencing, owner: object) -> Tokenizer:
    """The vocabulary of what reads text; SettingsError where ``owner`` reads pictures."""
    if not isinstance(sequencer, Tokenizer):
        reads = "pairs" if isinstance(sequencer, Sides) else "pictures"
        raise SettingsError(f"{owner} reads {reads}, and this is for text; name a run of text")
    return sequencer


def patches_in(sequencer: Sequencing, owner: object) -> Patches:
    """How pictures are cut for what reads them; SettingsError where ``owner`` reads text."""
    if not isinstance(sequencer, Patches):
        reads = "pairs" if isinstance(sequencer, Sides) else "text"
        raise SettingsError(f"{owner} reads {reads}, and this is for pictures; name a run of pictures")
    return sequencer


def sides_in(sequencer: Sequencing, owner: object) -> Sides:
    """How both sides are read by what reads pairs; SettingsError where ``owner`` reads one kind of data."""
    if not isinstance(sequencer, Sides):
        raise SettingsError(
            f"{owner} does not read pairs, and this is for pairs; name a run of pair_contrast"
        )
    return sequencer


__all__ = [
    "CodedPatches",
    "Patches",
    "Sequencer",
    "Sequencing",
    "Sides",
    "Tokenizer",
    "patches_in",
    "side_of",
    "sides_in",
    "vocabulary_in",
]
