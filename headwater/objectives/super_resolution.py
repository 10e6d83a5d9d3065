"""Super-resolution: from a picture of half as many lines and columns, make the whole one.

Dong et al. 2016, arXiv:1501.00092; as there, a bicubic picture of the full size is what is read. Shape letters: B
pictures, N patches, P numbers of a patch.
"""

import torch.nn.functional as F
from torch import Tensor

from headwater.objectives.restoring import Restoring

FACTOR = 2


class SuperResolution(Restoring):
    """The picture is averaged over squares of 2 × 2 pixels and drawn large again by bicubic interpolation.

    ``super_resolution_bicubic`` is the error of that interpolation.
    """

    name = "super_resolution"
    left = "bicubic"

    def spoiled(self, patches: Tensor) -> Tensor:
        """Patches of the picture that was made small and large again."""
        pictures = self.patches.joined(patches)
        small = F.avg_pool2d(pictures, FACTOR, ceil_mode=True)
        large = F.interpolate(small, size=pictures.shape[2:], mode="bicubic", align_corners=False)
        return self.patches.cut(large)
