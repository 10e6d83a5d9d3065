"""Pictures ↔ sequences of codes: each patch by the number of the typical patch that is nearest to it.

Lloyd 1982, doi:10.1109/TIT.1982.1056489. Shape letters: B pictures, N patches, P numbers of a patch, V codes.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import PROCESSOR, Patches
from headwater.errors import BadDataError
from headwater.sequence import SequenceLayout

CODES = 256
LOOKED_AT = 20_000
"""Patches that the typical ones are learnt from."""
FILE = "codes.npy"


@dataclass(frozen=True, kw_only=True, slots=True)
class CodedPatches(Patches):
    """Patches as tokens 0 … V − 1; token V stands in front of each picture."""

    centres: NDArray[np.float32]  # (V, P)

    @classmethod
    def learnt(cls, patches: Patches, sample: Tensor, *, seed: int) -> Self:
        """With the typical ones of a sample of patches (…, P)."""
        centres = typical(sample.flatten(0, -2), CODES, seed).numpy()
        return cls(**{field.name: getattr(patches, field.name) for field in fields(Patches)}, centres=centres)

    @property
    def beginning(self) -> int:
        """The token in front of a picture."""
        return len(self.centres)

    @property
    def vocabulary_size(self) -> int:
        """V + 1."""
        return len(self.centres) + 1

    @property
    def digest(self) -> str:
        """What tells it from others."""
        known = json.dumps([self.rows, self.columns, self.side, self.channels, self.mean, self.deviation])
        return hashlib.blake2b(known.encode() + self.centres.tobytes(), digest_size=16).hexdigest()

    def codes(self, patches: Tensor) -> Tensor:
        """The number of the nearest typical patch: (…, P) → (…)."""
        return torch.cdist(patches, torch.from_numpy(self.centres)).argmin(dim=-1)

    def decoded(self, codes: Tensor) -> Tensor:
        """The typical patches of these numbers: (B, N) → (B, N, P)."""
        return torch.from_numpy(self.centres)[codes.cpu()]

    def sequences(self, pixels: Pixels) -> tuple[Tensor, SequenceLayout]:
        """Pixels (B, H, W, K) as a batch reads them: tokens (B, 1 + N), and their layout."""
        codes = self.codes(self.patched(pixels))
        inputs = torch.cat((torch.full_like(codes[:, :1], self.beginning), codes), dim=1)
        return inputs, SequenceLayout.dense(*inputs.shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**super(CodedPatches, self).to_dict(), "centres": self.centres.tolist()}

    def save(self, folder: Path) -> None:
        """Write ``preprocessor_config.json``, and the typical patches beside it."""
        super(CodedPatches, self).save(folder)
        np.save(folder / FILE, self.centres)

    @classmethod
    def load_coded(cls, folder: Path) -> Self:
        """What ``save`` wrote; BadDataError where it is damaged."""
        try:
            words = json.loads((folder / PROCESSOR).read_text(encoding="utf-8"))
            side = int(words["patch_size"])
            rows, columns = (int(words["size"][name]) // side for name in ("height", "width"))
            centres = np.load(folder / FILE, allow_pickle=False).astype(np.float32)
            channels = len(words["image_mean"])
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise BadDataError(
                f"{folder} does not say how pictures become codes ({problem}); fetch or make the folder again"
            ) from problem
        if centres.ndim != 2 or centres.shape[1] != side * side * channels:
            raise BadDataError(
                f"{folder / FILE} holds {centres.shape}, and a patch has {side * side * channels} numbers; fetch or "
                "make the folder again"
            )
        patches = Patches.load(folder, rows=rows, columns=columns, side=side, channels=channels)
        return cls(**{field.name: getattr(patches, field.name) for field in fields(Patches)}, centres=centres)


def typical(patches: Tensor, count: int, seed: int) -> Tensor:
    """The centres of k-means over patches (N, P), at most ``count`` of them: (V, P)."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))[:LOOKED_AT]
    some = patches[order].numpy()
    count = min(count, len(np.unique(some, axis=0)))
    options: dict[str, Any] = {"n_init": 1, "max_iter": 50, "random_state": seed}
    with threadpool_limits(1):  # sums in another order would be other centres
        centres = KMeans(count, **options).fit(some).cluster_centers_
    return torch.from_numpy(centres).float()
