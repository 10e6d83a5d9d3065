"""How media become arrays of one size, and these patches."""

from collections.abc import Mapping
from typing import Any

from headwater.data.cutting.clips import ClipCut
from headwater.data.cutting.cut import Cut, watched
from headwater.data.cutting.flow import FlowCut
from headwater.data.cutting.pictures import PictureCut, fitted_patch, resized, square
from headwater.data.cutting.sounds import SoundCut
from headwater.data.kinds import Side
from headwater.data.sequencers.patches import TUBELET, Patches

__all__ = [
    "ClipCut",
    "Cut",
    "FlowCut",
    "PictureCut",
    "SoundCut",
    "cut_like",
    "cut_of",
    "fitted_patch",
    "resized",
    "square",
    "suggested",
    "watched",
]

_CUTS: Mapping[Side, type[Cut]] = {"image": PictureCut, "audio": SoundCut, "video": ClipCut, "flow": FlowCut}


def suggested(
    modality: Side,
    *,
    side: int | None,
    seconds: float | None,
    frames: int | None,
    patch: int | None,
    full_volume: bool | None = None,
) -> Cut:
    """What the user says of a cut; the rest is as the data suggest."""
    match modality:
        case "audio":
            return SoundCut(seconds=seconds, patch=patch, full_volume=full_volume is not False)
        case "video":
            return ClipCut(frames=frames, seconds=seconds, side=side, patch=patch)
        case "flow":
            return FlowCut(frames=frames, seconds=seconds, side=side, patch=patch)
        case _:
            return PictureCut(side, patch)


def cut_like(patches: Patches) -> Cut:
    """As a model has read media before."""
    if patches.mel is not None:
        mel = patches.mel
        return SoundCut(mel.rate, mel.frames, patches.side, mel.bands, full_volume=mel.full_volume)
    if patches.film is not None:
        kind = FlowCut if patches.film.flow else ClipCut
        return kind(
            frames=TUBELET * patches.film.slices,
            seconds=patches.film.seconds,
            side=patches.width,
            patch=patches.side,
            channels=patches.channels // TUBELET,
        )
    return PictureCut(patches.height, patches.side, patches.channels)


def cut_of(values: Mapping[str, Any]) -> Cut:
    """The reverse of ``Cut.to_dict``; what was written before there was a choice heard recordings as they were."""
    known = {"full_volume": False} if values["modality"] == "audio" else {}
    known |= {name: value for name, value in values.items() if name != "modality"}
    return _CUTS[values["modality"]](**known)
