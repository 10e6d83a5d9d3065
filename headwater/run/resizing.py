"""A model that has learnt pictures of one size reads another: its grid of positions is drawn out, or pressed together.

Patches stay as large as they were; there are more or fewer of them.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from headwater.data.cutting import Cut, suggested
from headwater.data.kinds import SIDES, Side
from headwater.data.sequencers import CodedPatches, Patches, Sides
from headwater.data.sequencers.patches import TUBELET, Film
from headwater.data.spectrogram import Mel
from headwater.errors import SettingsError
from headwater.models import PatchSettings, TransformerSettings
from headwater.nn.positions import stretched
from headwater.run.settings import DataSettings, RunSettings
from headwater.run.starting import StartingPoint

_TABLE = "embedding.positions.table.weight"
_SIZES: Mapping[Side, frozenset[str]] = {
    "text": frozenset(),
    "image": frozenset({"side"}),
    "audio": frozenset({"seconds", "full_volume"}),
    "video": frozenset({"side", "seconds", "frames"}),
    "flow": frozenset({"side", "seconds", "frames"}),
}
"""What of the data settings says how each is cut."""
_EVERY_SIZE = sorted(frozenset[str]().union(*_SIZES.values()))


def resized(start: StartingPoint, settings: RunSettings) -> StartingPoint:
    """The same start for media of the side, seconds and frames that the settings ask for; what they leave open stays.

    Raises SettingsError where patches would not fill that size, or the model has no grid of positions.
    """
    if isinstance(start.sequencer, Sides):  # its sizes are looked at where both sides are cut
        return start
    if not isinstance(start.sequencer, Patches):
        refuse_others_sizes(settings, "text")
        return start
    return stretched_to(resized_patches(start.sequencer, settings), start)


def asked_for(kind: Side, settings: RunSettings) -> Cut:
    """How media are cut that no model has read yet: as the user says, and as the data suggest."""
    data = settings.data
    return suggested(
        kind,
        side=data.side,
        seconds=data.seconds,
        frames=data.frames,
        patch=settings.model.patch,
        full_volume=data.full_volume,
    )


def refuse_others_sizes(settings: RunSettings, *sides: Side) -> None:
    """SettingsError for a size, a length or a volume that none of these has: it would be passed over."""
    theirs = frozenset[str]().union(*(_SIZES[side] for side in sides))
    asked = [
        f"data.{name}"
        for name in _EVERY_SIZE
        if name not in theirs and getattr(settings.data, name) is not None
    ]
    if settings.model.patch is not None and set(sides) == {"text"}:
        asked.append("model.patch")
    if settings.training.varied and "audio" not in sides:
        asked.append("training.varied")
    if asked:
        what = " and ".join(SIDES[side] for side in dict.fromkeys(sides))
        raise SettingsError(f"{asked[0]} says nothing of {what}; leave it out")


def stretched_to(patches: Patches, start: StartingPoint) -> StartingPoint:
    """The same start for media that are cut like this; SettingsError where the model has no grid of positions."""
    if patches == start.sequencer:
        return start
    before = start.settings.patches
    if isinstance(start.sequencer, Patches) and _grid(patches) == _grid(start.sequencer):
        return replace(start, sequencer=patches)
    if not isinstance(start.settings, TransformerSettings) or before is None:
        raise SettingsError(
            "only a Transformer reads pictures of another size than it learnt from; leave data.side, data.seconds and "
            "data.frames out"
        )
    after = replace(before, rows=patches.rows, columns=patches.columns, slices=patches.slices)
    weights = start.weights and {
        name: _stretched(tensor, before, after) if name == _TABLE else tensor
        for name, tensor in start.weights.items()
    }
    shape = replace(start.settings, patches=after, max_length=patches.length)
    card = {**start.card, "length": patches.length}
    return replace(start, settings=shape, sequencer=patches, card=card, weights=weights)


def _grid(patches: Patches) -> tuple[int, int, int]:
    return patches.rows, patches.columns, patches.slices


def resized_patches(patches: Patches, settings: RunSettings) -> Patches:
    """How media of the size that the settings ask for are cut into patches as large as these.

    Raises SettingsError as ``resized`` does.
    """
    data, patch = settings.data, settings.model.patch
    refuse_others_sizes(settings, "audio" if patches.mel else "video" if patches.film else "image")
    if patch not in (None, patches.side):
        raise SettingsError(
            f"model.patch = {patch}, and the run that is begun from reads patches of {patches.side}; leave it out"
        )
    if patches.mel is not None:
        found = _recordings(patches, patches.mel, data)
    elif patches.film is not None:
        found = _clips(patches, patches.film, data)
    elif data.side is not None:
        count = _count(patches, data)
        found = replace(patches, rows=count, columns=count)
    else:
        found = patches
    if found != patches and isinstance(patches, CodedPatches):
        raise SettingsError(
            "a model that draws pictures draws them in the size that it has learnt; leave data.side out"
        )
    return found


def _recordings(patches: Patches, mel: Mel, data: DataSettings) -> Patches:
    heard = mel.full_volume if data.full_volume is None else data.full_volume
    patches = replace(patches, mel=replace(mel, full_volume=heard))
    if data.seconds is None:
        return patches
    frames = 1 + round(data.seconds * mel.rate / mel.step)
    columns = -(-frames // patches.side)
    return replace(
        patches, columns=columns, mel=replace(mel, frames=columns * patches.side, full_volume=heard)
    )


def _clips(patches: Patches, film: Film, data: DataSettings) -> Patches:
    frames = data.frames or TUBELET * film.slices
    if frames % TUBELET:
        raise SettingsError(f"data.frames = {frames}; expected an even number, as two of them make one patch")
    count = _count(patches, data)
    seconds = film.seconds if data.seconds is None else data.seconds
    film = replace(film, slices=frames // TUBELET, seconds=seconds)
    return replace(patches, rows=film.slices * count, columns=count, film=film)


def _count(patches: Patches, data: DataSettings) -> int:
    """Patches side by side."""
    side = data.side or patches.width
    if side % patches.side:
        raise SettingsError(
            f"data.side = {side}, and the run that is begun from reads patches of {patches.side}; choose a multiple of "
            f"{patches.side}"
        )
    return side // patches.side


def _stretched(table: Tensor, before: PatchSettings, after: PatchSettings) -> Tensor:
    grids = [(shape.slices, shape.rows // shape.slices, shape.columns) for shape in (before, after)]
    return stretched(table, *grids)
