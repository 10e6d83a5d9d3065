"""From files and folders of pictures to a pool ready for training: decoded once, at the size that is read.

Shape letters: N pictures, H height, W width, K channels.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headwater.data.asides import is_whole, made_aside
from headwater.data.files import Source, find_sources
from headwater.data.problems import Problems
from headwater.data.readers.pictures import Picture, Pixels, read_pictures
from headwater.data.sequencers.patches import Patches
from headwater.data.splits import split_of
from headwater.data.store import cache_folder, store_key
from headwater.data.tokenizer import Progress
from headwater.errors import BadDataError, MissingInputError, StorageError

VALIDATION_SHARE = 0.02
LARGEST_SIDE = 224
MOST_PATCHES_A_SIDE = 8
LARGEST_PATCH = 16
_LOOKED_AT = 300
_A_GROUP = 512
_FILES = ("train.npy", "validation.npy", "digests.npy", "facts.json")
_GREY = np.array([0.299, 0.587, 0.114])  # the luminance of ITU-R BT.601, as Pillow's


class Cut(NamedTuple):
    """The side of the squares that pictures become and of their patches, in pixels; None: as the pictures suggest."""

    side: int | None = None
    patch: int | None = None


AS_SUGGESTED = Cut()


@dataclass(frozen=True, kw_only=True, slots=True)
class PicturePool:
    """Everything that unlabelled pictures give to training: (N, H, W, K) in memory-mapped files."""

    train: Pixels
    validation: Pixels
    digests: NDArray[np.int64]  # of the train pictures as they were decoded
    patches: Patches
    facts: dict[str, Any]  # for data.json


def build_picture_pool(
    paths: Sequence[str | Path],
    *,
    cut: Cut = AS_SUGGESTED,
    hold_out: Sequence[str | Path] = (),
    keep_duplicates: bool = False,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> PicturePool:
    """Read, hold out, drop repetitions, split, bring to one size; or find all of it in the cache.

    A picture's shorter side becomes ``cut.side`` pixels (default: the median of what is there, at most 224), and the
    middle square is kept, cut into patches of ``cut.patch`` pixels. Pictures equal to one behind ``hold_out``, to one
    that judges or to an earlier one are left out and counted. Files named as validation parts judge; without one, two
    in a hundred do, chosen by content. Those named as test parts never enter, nor pictures equal to one of them. Raises
    BadDataError when nothing is left, and what ``check`` raises.
    """
    sources = find_sources(paths, modality="image")
    train, judging = _sorted(sources)
    held_out = [source for source in sources if source.split == "test" and source not in train]
    held_out += find_sources(hold_out, modality="image") if hold_out else []
    key = store_key(
        pictures=[_said(part) for part in (train, judging, held_out)],
        cut=list(cut),
        validation=[VALIDATION_SHARE, seed],
        duplicates="kept" if keep_duplicates else "dropped",
    )
    folder = (cache_folder() if cache is None else Path(cache)) / "pictures" / key
    if not is_whole(folder, _FILES):
        build = _Build(train, judging, held_out, cut, keep_duplicates, seed, progress, check)
        try:
            with made_aside(folder, _FILES) as aside:
                build.into(aside, key)
        except OSError as error:
            raise StorageError(
                f"the pool cannot be built in {folder.parent}: {error}; make room or give access there, or name "
                "another folder with HEADWATER_CACHE"
            ) from error
    return _open(folder)


def fitted_patch(side: int) -> int:
    """The smallest square, of at most 16 pixels, of which eight or fewer fill a side; else the largest that fits."""
    fitting = [size for size in range(2, LARGEST_PATCH + 1) if side % size == 0]
    coarse = [size for size in fitting if side <= size * MOST_PATCHES_A_SIDE]
    return min(coarse) if coarse else max(fitting, default=side)


def square(pixels: Pixels, side: int, channels: int) -> Pixels:
    """The middle square of a picture, brought to ``side`` pixels: (H, W, K) → (side, side, channels)."""
    pixels = _in_channels(pixels, channels)
    height, width, _ = pixels.shape
    if (height, width) != (side, side):
        scale = side / min(height, width)
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels).resize(
            size, Image.Resampling.BILINEAR
        )
        pixels = np.asarray(image).reshape(size[1], size[0], channels)
        top, left = (size[1] - side) // 2, (size[0] - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    return pixels


def digest_of(pixels: Pixels) -> int:
    """The same for equal pictures."""
    shape = str(pixels.shape).encode()
    found = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=8, key=shape[:64]).digest()
    return int.from_bytes(found, "little", signed=True)


def _open(folder: Path) -> PicturePool:
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    shape = facts["patches"] | {name: tuple(facts["patches"][name]) for name in ("mean", "deviation")}
    return PicturePool(
        train=np.load(folder / "train.npy", mmap_mode="r"),
        validation=np.load(folder / "validation.npy", mmap_mode="r"),
        digests=np.load(folder / "digests.npy"),
        patches=Patches(**shape),
        facts=facts,
    )


def _sorted(sources: list[Source]) -> tuple[list[Source], list[Source]]:
    """What is learnt from and what judges; where every file is of such a part, the user means it."""
    train = [source for source in sources if source.split in ("train", None)]
    judging = [source for source in sources if source.split == "validation"]
    if not train:
        if not all(source.named for source in sources):
            raise MissingInputError(
                f"all {len(sources):,} pictures found belong to validation or test parts by their names, and these "
                "never enter the pool; name a file itself to use it all the same"
            )
        return sources, []
    return train, judging


def _said(sources: Sequence[Source]) -> list[Any]:
    """What tells these sources from others without unpacking them: whole files by content, members by name."""
    files = {source.file: None for source in sources}
    digests = {file: _digest_of_file(file) for file in files}
    return [(source.path, digests[source.file], source.member) for source in sources]


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@dataclass(slots=True)
class _Build:
    """One pool in the making."""

    train: Sequence[Source]
    judging: Sequence[Source]
    held_out: Sequence[Source]
    cut: Cut
    keep_duplicates: bool
    seed: int
    progress: Progress | None
    check: Callable[[], None] | None

    def into(self, folder: Path, key: str) -> None:
        problems, repeated = Problems(), Problems()
        side, channels = self._shape()
        patch = self.cut.patch or fitted_patch(side)
        if side % patch:
            raise BadDataError(
                f"patches of {patch} pixels do not fill a side of {side}; choose --set model.patch and --set data.side "
                "so that one divides the other"
            )
        seen = {digest_of(picture.pixels) for picture in self._read(self.held_out, Problems())}
        judging = [
            (digest, square(pixels, side, channels))
            for digest, pixels in self._kept(self.judging, seen, problems, repeated, "judging")
        ]
        train: list[tuple[int, Pixels]] = []
        for found in self._kept(self.train, seen, problems, repeated, "reading"):
            judges = (
                not self.judging and train and split_of(found[0], VALIDATION_SHARE, f"validation {self.seed}")
            )
            (judging if judges else train).append((found[0], square(found[1], side, channels)))
        if not train:
            raise BadDataError(f"no picture is left to learn from: {problems.summary()}")
        pixels = np.stack([values for _, values in train])
        mean, deviation = _statistics(pixels)
        patches = Patches(
            rows=side // patch,
            columns=side // patch,
            side=patch,
            channels=channels,
            mean=mean,
            deviation=deviation,
        )
        np.save(folder / "train.npy", pixels)
        held = [values for _, values in judging]
        np.save(folder / "validation.npy", np.stack(held) if held else pixels[:0])
        np.save(folder / "digests.npy", np.array([digest for digest, _ in train], np.int64))
        problems.absorb(repeated)
        facts = {
            "key": key,
            "modality": "image",
            "pictures": len(train),
            "side": side,
            "patches": {name: getattr(patches, name) for name in Patches.__slots__},
            "validation": {"pictures": len(judging), "how": self._how_split()},
            "sources": [
                {"path": path, "files": count} for path, count in _by_place([*self.train, *self.judging])
            ],
            "left_out": problems.to_dict(),
        }
        (folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    def _shape(self) -> tuple[int, int]:
        """The side, and whether all are grey: as a few pictures from all over say."""
        step = -(-len(self.train) // _LOOKED_AT)
        looked = [
            picture.pixels.shape
            for picture, _ in zip(self._read(self.train[::step], Problems()), range(_LOOKED_AT), strict=False)
        ]
        if not looked:
            raise BadDataError(
                f"none of {len(self.train):,} files is a picture that can be read; look at them: headwater inspect"
            )
        channels = 1 if all(shape[2] == 1 for shape in looked) else 3
        if self.cut.side is not None:
            return self.cut.side, channels
        usual = min(LARGEST_SIDE, int(median(min(shape[:2]) for shape in looked)))
        patch = self.cut.patch or min(LARGEST_PATCH, max(2, -(-usual // MOST_PATCHES_A_SIDE)))
        return max(patch, usual - usual % patch), channels

    def _kept(
        self, sources: Sequence[Source], seen: set[int], problems: Problems, repeated: Problems, stage: str
    ) -> Iterator[tuple[int, Pixels]]:
        """Pictures that were not seen before, each with its digest."""
        held = set(seen)
        for number, picture in enumerate(self._read(sources, problems)):
            if number % _A_GROUP == 0 and self.progress is not None:
                self.progress(f"{stage} pictures", number, None)
            digest = digest_of(picture.pixels)
            if digest in held:
                repeated.add(picture.path, picture.row, "equals a held-out picture")
            elif digest in seen and not self.keep_duplicates:
                repeated.add(picture.path, picture.row, "exact duplicate")
            else:
                seen.add(digest)
                yield digest, picture.pixels

    def _read(self, sources: Sequence[Source], problems: Problems) -> Iterator[Picture]:
        for number, picture in enumerate(read_pictures(sources, problems)):
            if number % _A_GROUP == 0 and self.check is not None:
                self.check()
            yield picture

    def _how_split(self) -> str:
        if self.judging:
            return "files named as validation parts"
        return f"{VALIDATION_SHARE:.1%} of the pictures, by content"


def _by_place(sources: Sequence[Source]) -> list[tuple[str, int]]:
    """Folders and archives, and how many pictures stand in each: one line for thousands of files."""
    places: dict[str, int] = {}
    for source in sources:
        place = str(source.file if source.member else source.file.parent)
        places[place] = places.get(place, 0) + 1
    return list(places.items())


def _in_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=-1)
    return (pixels @ _GREY).round().astype(np.uint8)[..., None]


def _statistics(pixels: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, in shares of white; rounded, so that they can be written down."""
    some = pixels[:: max(1, len(pixels) // 5000)].astype(np.float64) / 255.0
    mean, deviation = some.mean(axis=(0, 1, 2)), some.std(axis=(0, 1, 2))
    rounded = lambda values: tuple(round(float(value), 4) for value in values)  # noqa: E731
    return rounded(mean), rounded(np.maximum(deviation, 1e-3))
