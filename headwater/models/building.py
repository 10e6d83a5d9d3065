"""From settings to a backbone."""

from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.convolutional import ConvolutionalBackbone
from headwater.models.recurrent import RecurrentBackbone
from headwater.models.residual import ResidualBackbone
from headwater.models.settings import (
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoderSettings,
    RecurrentSettings,
    ResidualSettings,
    TransformerSettings,
)
from headwater.models.tower_settings import TwoTowerSettings
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.models.two_towers import TwoTowers
from headwater.nn.initialization import initialize


def build_backbone(settings: BackboneSettings, *, seed: int | None = None) -> Backbone:
    """The backbone that the settings describe, first weights drawn by ``seed`` (None: torch's own)."""
    match settings:
        case TransformerSettings():
            backbone: Backbone = TransformerBackbone(settings)
        case EncoderDecoderSettings():
            backbone = TransformerEncoderDecoder(settings)
        case TwoTowerSettings():
            backbone = TwoTowers(settings)
        case RecurrentSettings():
            backbone = RecurrentBackbone(settings)
        case ConvolutionalSettings():
            backbone = ConvolutionalBackbone(settings)
        case ResidualSettings():
            backbone = ResidualBackbone(settings)
        case _:
            raise SettingsError(f"there is no backbone for {type(settings).__name__}")
    if seed is not None:
        initialize(backbone, seed=seed, name="backbone")
    return backbone
