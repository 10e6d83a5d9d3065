"""Models: a backbone, the heads shipped with it, its cost, and how it is written to disk."""

from headwater.models.backbone import Backbone, EncoderDecoder
from headwater.models.building import build_backbone
from headwater.models.bundle import Bundle, load_bundle, save_bundle
from headwater.models.cost import Cost, body_parameters, cost_of
from headwater.models.heads import HeadSettings
from headwater.models.model import Model, begin_with_grid, build_model
from headwater.models.regularization import with_shares
from headwater.models.rounding import rounded
from headwater.models.settings import (
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoderSettings,
    PatchSettings,
    RecurrentSettings,
    ResidualSettings,
    TransformerSettings,
)
from headwater.models.sizes import (
    SIZES,
    bert_settings,
    decoder_settings,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
    eurobert_settings,
    gated_width,
    gpt2_settings,
    matched_hidden,
    matched_settings,
    paper_base,
    paper_big,
    picture_settings,
)
from headwater.models.tower_settings import TwoTowerSettings
from headwater.models.two_towers import Tower, TwoTowers

__all__ = [
    "SIZES",
    "Backbone",
    "BackboneSettings",
    "Bundle",
    "ConvolutionalSettings",
    "Cost",
    "EncoderDecoder",
    "EncoderDecoderSettings",
    "HeadSettings",
    "Model",
    "PatchSettings",
    "RecurrentSettings",
    "ResidualSettings",
    "Tower",
    "TransformerSettings",
    "TwoTowerSettings",
    "TwoTowers",
    "begin_with_grid",
    "bert_settings",
    "body_parameters",
    "build_backbone",
    "build_model",
    "cost_of",
    "decoder_settings",
    "electra_settings",
    "encoder_decoder_settings",
    "encoder_settings",
    "eurobert_settings",
    "gated_width",
    "gpt2_settings",
    "load_bundle",
    "matched_hidden",
    "matched_settings",
    "paper_base",
    "paper_big",
    "picture_settings",
    "rounded",
    "save_bundle",
    "with_shares",
]
