"""How an example becomes a sequence: text by a vocabulary, pictures by patches."""

from headwater.data.sequencers.patches import Patches
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError

Sequencer = Tokenizer | Patches


def vocabulary_in(sequencer: Sequencer, owner: object) -> Tokenizer:
    """The vocabulary of what reads text; SettingsError where ``owner`` reads pictures."""
    if isinstance(sequencer, Patches):
        raise SettingsError(f"{owner} reads pictures, and this is for text; name a run of text")
    return sequencer


def patches_in(sequencer: Sequencer, owner: object) -> Patches:
    """How pictures are cut for what reads them; SettingsError where ``owner`` reads text."""
    if isinstance(sequencer, Tokenizer):
        raise SettingsError(f"{owner} reads text, and this is for pictures; name a run of pictures")
    return sequencer


__all__ = ["Patches", "Sequencer", "Tokenizer", "patches_in", "vocabulary_in"]
