"""Two towers by size: CLIP's for a picture and a text, ViT's stacks or ModernBERT's for all other pairs."""

from dataclasses import replace

from headwater.models.settings import PatchSettings, TransformerSettings
from headwater.models.sizes import encoder_settings, picture_settings
from headwater.models.tower_settings import TwoTowerSettings

Shape = PatchSettings | int
"""What a side is made of: patches, or the tokens of a vocabulary."""


def two_tower_settings(size: str, first: Shape, second: Shape, *, text_length: int) -> TwoTowerSettings:
    """A tower of that size for each side; a square picture and a text, in this order, are in CLIP's layout.

    Source: Radford et al. 2021, section 2.4, arXiv:2103.00020.
    """
    if isinstance(first, PatchSettings) and _square(first) and isinstance(second, int):
        return _clip(size, first, second, text_length)
    sides = (
        picture_settings(size, shape)
        if isinstance(shape, PatchSettings)
        else encoder_settings(size, shape, max_length=text_length)
        for shape in (first, second)
    )
    first_settings, second_settings = sides
    return TwoTowerSettings.of(first_settings, second_settings, joint_width=first_settings.width)


def _clip(size: str, patches: PatchSettings, vocabulary_size: int, text_length: int) -> TwoTowerSettings:
    bare = replace(patches, bias=False)
    picture = replace(picture_settings(size, bare), embedding_norm=True, norm_epsilon=1e-5)
    text = TransformerSettings(
        vocabulary_size=vocabulary_size,
        width=picture.width,
        depth=picture.depth,
        num_heads=picture.num_heads,
        feed_forward_width=picture.feed_forward_width,
        feed_forward="gelu",
        norm="layer",
        linear_bias=True,
        positions="learned",
        causal=True,
        max_length=text_length,
    )
    return TwoTowerSettings.of(
        picture, text, joint_width=picture.width, first_pooling="first", second_pooling="last"
    )


def _square(patches: PatchSettings) -> bool:
    return patches.rows == patches.columns and patches.slices == 1
