"""Colorization: from a picture in grey, say its colours.

Zhang et al. 2016, arXiv:1603.08511; here the colours themselves are painted, not classes of them. Shape letters: B
pictures, N patches, P numbers of a patch.
"""

import torch
from torch import Tensor

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.objectives.restoring import Restoring

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Colorization(Restoring):
    """The picture is read in grey; ``colorization_in_grey`` is the error of leaving it so."""

    name = "colorization"
    left = "in_grey"

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        if patches.channels != len(_LUMINANCE):
            these = "grey" if patches.channels == 1 else f"of {patches.channels} channels"
            raise SettingsError(
                f"colorization needs pictures in colour, and these are {these}; choose another --objective"
            )
        super().__init__(patches, width, seed=seed)

    def spoiled(self, patches: Tensor) -> Tensor:
        """Patches (B, N, P) with the luminance in every channel."""
        mean, deviation = (
            torch.tensor(values)[:, None] for values in (self.patches.mean, self.patches.deviation)
        )
        light = patches.unflatten(2, (self.patches.channels, -1)) * deviation + mean
        grey = (light * torch.tensor(_LUMINANCE)[:, None]).sum(dim=2, keepdim=True)
        return ((grey - mean) / deviation).flatten(2)
