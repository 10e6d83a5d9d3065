"""How both sides of a pair become sequences."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.data.kinds import SIDES, Side
from headwater.data.sequencers.patches import Patches
from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError

SECOND = "second"
"""The folder of a second side's words where both sides are cut into patches."""


@dataclass(frozen=True, slots=True)
class Sides:
    """A vocabulary or patches for each side of a pair."""

    first: Tokenizer | Patches
    second: Tokenizer | Patches

    @property
    def kinds(self) -> tuple[Side, Side]:
        """What the sides are."""
        return side_of(self.first), side_of(self.second)

    @property
    def text(self) -> Tokenizer | None:
        """The vocabulary, where a side is text."""
        return next((side for side in (self.first, self.second) if isinstance(side, Tokenizer)), None)

    @property
    def digest(self) -> str:
        """What tells it from others."""
        return hashlib.blake2b(
            f"{self.first.digest}{self.second.digest}".encode(), digest_size=16
        ).hexdigest()

    @property
    def volumes(self) -> set[bool]:
        """At which volume recordings are heard: whether at their loudest."""
        sides = (self.first, self.second)
        return {side.mel.full_volume for side in sides if isinstance(side, Patches) and side.mel is not None}

    def place(self, kind: Side, owner: object) -> int:
        """0 for the first side, 1 for the second; UsageError where no side is of this kind."""
        if kind not in self.kinds:
            there = " and ".join(SIDES[side] for side in self.kinds)
            raise UsageError(
                f"{owner} reads {there}, and this is for {SIDES[kind]}; name a run that reads these"
            )
        return self.kinds.index(kind)

    def save(self, folder: Path) -> None:
        """Write what the patches of each side are; the vocabulary is written by whoever knows its longest text."""
        places = _places(folder, isinstance(self.first, Patches))
        for side, place in zip((self.first, self.second), places, strict=True):
            if isinstance(side, Patches):
                place.mkdir(exist_ok=True)
                side.save(place)

    @classmethod
    def load(cls, folder: Path, first: dict[str, Any] | None, second: dict[str, Any] | None) -> "Sides":
        """What ``save`` wrote, for a model whose sides are cut into such patches (None: tokens)."""
        places = _places(folder, first is not None)
        sides = [
            Tokenizer.load(folder / "tokenizer.json") if words is None else Patches.load(place, **words)
            for words, place in zip((first, second), places, strict=True)
        ]
        return cls(*sides)


def side_of(sequencer: Tokenizer | Patches) -> Side:
    """What becomes such sequences."""
    if isinstance(sequencer, Tokenizer):
        return "text"
    if sequencer.mel is not None:
        return "audio"
    if sequencer.film is None:
        return "image"
    return "flow" if sequencer.film.flow else "video"


def _places(folder: Path, first_has_patches: bool) -> tuple[Path, Path]:
    return folder, folder / SECOND if first_has_patches else folder
