"""Models of two kinds of data by size: towers for pairs, and a decoder that describes what an encoder sees."""

from dataclasses import replace

from headwater.models.settings import PatchSettings, TransformerSettings
from headwater.models.sizes import encoder_decoder_settings, encoder_settings, picture_settings
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


def describing_decoder(encoder: TransformerSettings, vocabulary_size: int) -> TransformerSettings:
    """A decoder as wide and as deep as an encoder of patches, that reads it and writes: M2M-100's stack."""
    plain = encoder_decoder_settings("nano", vocabulary_size).decoder
    return replace(
        plain,
        width=encoder.width,
        depth=encoder.depth,
        num_heads=encoder.num_heads,
        feed_forward_width=encoder.feed_forward_width,
        embedding_scale=encoder.width**0.5,
        residual_dropout=encoder.residual_dropout,
        embedding_dropout=encoder.embedding_dropout,
    )
