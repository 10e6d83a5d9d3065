"""What a Transformer of pictures is compared with: a residual network of 3 × 3 convolutions.

Shape letters: B pictures, H height, W width, K channels of a picture, N patches, P numbers of a patch, C width of the
model, F channels of a stage.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.models.backbone import Backbone
from headwater.models.settings import PatchSettings, ResidualSettings
from headwater.nn.norm import build_norm
from headwater.sequence import SequenceLayout

LARGEST_GROUPS = 8
MOST_HALVINGS = 2


class Convolution(nn.Conv2d):
    """A convolution that keeps the size, or divides it by ``stride``; ``places`` counts the squares it answers at."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, places: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.places = places


class ResidualBlock(nn.Module):
    """``x' + c₂(relu(n(c₁(relu(n(x))))))``, x' being x itself, or a 1 × 1 convolution of it where sizes differ.

    Source: He et al. 2016, arXiv:1603.05027, with groups normalised (Wu and He 2018, arXiv:1803.08494), so that a
    picture does not depend on its batch.
    """

    def __init__(self, inputs: int, outputs: int, *, places: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.first_norm = _norm(inputs)
        self.first = Convolution(inputs, outputs, 3, places=places, stride=stride)
        self.second_norm = _norm(outputs)
        self.second = Convolution(outputs, outputs, 3, places=places)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else Convolution(inputs, outputs, 1, places=places, stride=stride)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:  # (B, F, H, W) → (B, F', H', W')
        inner = F.relu(self.first_norm(features))
        kept = features if self.shortcut is None else self.shortcut(inner)
        inner = F.relu(self.second_norm(self.first(inner)))
        return kept + self.second(self.dropout(inner))


class ResidualBackbone(Backbone):
    """Patches are joined to pictures again; stages of blocks halve them, at most twice, down to a vector a patch.

    The state of [CLS] is the mean of the others. What halving does not reach is left to the stride of the first
    convolution. The frames of a clip are channels of one picture ("early fusion", Karpathy et al. 2014, CVPR), so its
    slices share their states.
    """

    def __init__(self, settings: ResidualSettings) -> None:
        super().__init__()
        self.settings = settings
        self.width, self.vocabulary_size, self.reads = settings.width, 0, "both"
        self.patches = cast(PatchSettings, settings.patches)
        self.longest_row = self.patches.count + 1
        halvings = next(n for n in range(MOST_HALVINGS, -1, -1) if self.patches.side % 2**n == 0)
        stride = self.patches.side >> halvings
        slices = self.patches.slices
        places, channels = self.patches.count // slices << (2 * halvings), settings.hidden_width
        kernel = 3 if stride == 1 else 2 * stride - 1
        self.embedding = nn.Identity()
        self.stem = Convolution(
            slices * self.patches.channels, channels, kernel, places=places, stride=stride
        )
        blocks: list[nn.Module] = []
        for stage in range(halvings + 1):
            outputs = settings.hidden_width << stage
            for number in range(settings.depth):
                halves = stage > 0 and number == 0
                places = places // 4 if halves else places
                block = ResidualBlock(
                    channels, outputs, places=places, stride=2 if halves else 1, dropout=settings.dropout
                )
                blocks.append(block)
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.norm = _norm(channels)
        self.projection = nn.Linear(channels, settings.width)
        self.final_norm = build_norm("layer_without_bias", settings.width, 1e-5)

    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, 1 + N, P) → itself
        """Patches as they are: pixels are what it reads."""
        del layout
        return inputs

    def encode(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:  # (B, 1 + N, P) → (B, 1 + N, C)
        """A vector for each patch, behind their mean."""
        del layout
        features = self.stem(self._joined(embedded[:, 1:]))
        for block in self.blocks:
            features = block(features)
        states = self.projection(F.relu(self.norm(features)).flatten(2).transpose(1, 2))
        every = states.repeat(1, self.patches.slices, 1)
        return self.final_norm(torch.cat((states.mean(1, keepdim=True), every), dim=1))

    def _joined(self, patches: Tensor) -> Tensor:  # (B, N, P) → (B, S · K, H, W)
        shape = self.patches
        rows, side = shape.rows // shape.slices, shape.side
        squares = patches.unflatten(2, (shape.channels, side, side))
        squares = squares.unflatten(1, (shape.slices, rows, shape.columns))
        return squares.permute(0, 1, 4, 2, 5, 3, 6).reshape(
            len(patches), shape.slices * shape.channels, rows * side, shape.columns * side
        )


def _norm(channels: int) -> nn.GroupNorm:
    groups = next(count for count in range(min(LARGEST_GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)
