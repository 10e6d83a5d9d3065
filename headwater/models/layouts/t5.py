"""T5's layout: relative positions in both stacks, RMS norms in front, no bias, as transformers reads it.

The traps: scores are not divided by √D. An output matrix tied to the table of tokens reads hidden states divided by
√C (T5 1.0), one of its own reads them as they are (1.1); transformers 4 says both by ``tie_word_embeddings``, 5 writes
that always as true and says the one by ``scale_decoder_outputs``, the other by what is in the file. ``gated-gelu``
means the approximation by a hyperbolic tangent. While training, transformers also drops what leaves the last norms.

Source: Raffel et al. 2020, arXiv:1910.10683; 1.1: Shazeer 2020, arXiv:2002.05202.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    fused,
    linear,
    must_be,
    needed,
    task_of,
)
from headwater.models.layouts.stacks import (
    WRITING,
    Stack,
    attention_names,
    one_table,
    refusal_of_pair,
    refusal_of_stacks,
    refusal_of_writing_head,
    stacks_of,
    tokens_config,
)
from headwater.models.settings import BackboneSettings, EncoderDecoderSettings, TransformerSettings
from headwater.nn.feed_forward import GATED, FeedForwardKind

ENCODER = "T5EncoderModel"
ARCHITECTURES = {"": "T5Model", "next_token": "T5ForConditionalGeneration"}
FEED_FORWARDS: dict[str, tuple[FeedForwardKind, str]] = {
    "relu": ("relu", "relu"),
    "gelu": ("gelu", "gelu"),
    "gated-gelu": ("geglu_tanh", "gelu_new"),
    "gated-silu": ("swiglu", "silu"),
}
"""Published name → ours, and the name of the activation alone."""
PARTS = ("q", "k", "v", "o")
KNOWN = WRITING | frozenset(
    [
        "vocab_size",
        "d_model",
        "d_kv",
        "d_ff",
        "num_layers",
        "num_decoder_layers",
        "num_heads",
        "relative_attention_num_buckets",
        "relative_attention_max_distance",
        "dropout_rate",
        "layer_norm_epsilon",
        "initializer_factor",
        "feed_forward_proj",
        "dense_act_fn",
        "is_gated_act",
        "is_decoder",
        "tie_word_embeddings",
        "scale_decoder_outputs",
        "n_positions",  # of 1.0: the length it was trained on
    ]
)


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why T5's layout cannot say this, or None."""
    fixed = {
        "norm": "rms",
        "norm_position": "before",
        "linear_bias": False,
        "positions": "relative",
        "embedding_norm": False,
        "embedding_scale": 1.0,
        "final_norm": True,
        "attention_scale": 1.0,
    }
    reason = refusal_of_stacks(settings, fixed)
    if reason is not None:
        return reason
    if isinstance(settings, TransformerSettings):
        return _refusal_of_encoder(settings, head)
    assert isinstance(settings, EncoderDecoderSettings)
    shared = ("num_heads", "head_width", "feed_forward", "feed_forward_width", "norm_epsilon")
    reason = refusal_of_pair(settings, *shared, "relative_buckets", "relative_distance")
    reason = reason or _refusal_of_feed_forward(settings.encoder)
    reason = reason or refusal_of_writing_head(head, ARCHITECTURES)
    return reason or _refusal_of_scale(settings, head)


def to_config(
    settings: TransformerSettings | EncoderDecoderSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json; for transformers 4 and 5, which tell a scaled head from a plain one by different words."""
    encoder, *rest = (stack.settings for stack in stacks_of(settings))
    decoder = rest[0] if rest else encoder
    scaled = head is not None and head.scale != 1.0
    return {
        **({} if rest else {"architectures": [ENCODER]}),
        "vocab_size": settings.vocabulary_size,
        "d_model": settings.width,
        "d_kv": encoder.head_width,
        "d_ff": encoder.feed_forward_width,
        "num_layers": encoder.depth,
        "num_decoder_layers": decoder.depth,
        "num_heads": encoder.num_heads,
        "relative_attention_num_buckets": encoder.relative_buckets,
        "relative_attention_max_distance": encoder.relative_distance,
        "dropout_rate": encoder.residual_dropout,
        "layer_norm_epsilon": encoder.norm_epsilon,
        "feed_forward_proj": next(
            name for name, (ours, _) in FEED_FORWARDS.items() if ours == encoder.feed_forward
        ),
        "tie_word_embeddings": head is None or scaled,
        "scale_decoder_outputs": scaled,
        "is_encoder_decoder": bool(rest),
        **tokens_config(settings, special),
    }


def from_config(config: Config) -> TransformerSettings | EncoderDecoderSettings:
    """The settings of a T5 config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(config, "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")
    must_be(config, "is_decoder", False)
    dropout = config.get("dropout_rate", 0.1)
    encoder = TransformerSettings(
        vocabulary_size=config["vocab_size"],
        width=config["d_model"],
        depth=config["num_layers"],
        num_heads=config["num_heads"],
        head_dim=config["d_kv"],
        feed_forward_width=config["d_ff"],
        feed_forward=_feed_forward(config),
        norm="rms",
        norm_epsilon=config.get("layer_norm_epsilon", 1e-6),
        positions="relative",
        relative_buckets=config.get("relative_attention_num_buckets", 32),
        relative_distance=config.get("relative_attention_max_distance", 128),
        attention_scale=1.0,
        embedding_dropout=dropout,
        residual_dropout=dropout,
        attention_dropout=dropout,
        feed_forward_dropout=dropout,
        pad_token=config.get("pad_token_id"),
    )
    if config.get("architectures") == [ENCODER]:
        return encoder
    depth = config.get("num_decoder_layers") or encoder.depth
    return EncoderDecoderSettings.of(encoder, replace(encoder, depth=depth, causal=True))


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    must_be(config, "tie_word_embeddings", True, False)
    must_be(config, "scale_decoder_outputs", True, False)
    task = task_of(config, ARCHITECTURES | {"encoder": ENCODER})
    if task != "next_token":
        return None
    tied = config.get("tie_word_embeddings", True)
    scaled = config.get("scale_decoder_outputs", tied)
    return HeadSettings(name=task, tied=tied, scale=config["d_model"] ** -0.5 if scaled else 1.0)


def head_in_file(head: HeadSettings | None, config: Config, found: Collection[str]) -> HeadSettings | None:
    """The head, tied or not as the names of tensors say where config.json is of transformers 5."""
    if head is None or "scale_decoder_outputs" not in config:
        return head
    return replace(head, tied="lm_head.weight" not in found)


def names(settings: TransformerSettings | EncoderDecoderSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and T5's."""
    result = linear("backbone.embedding.tokens", "shared", bias=False)
    for stack in stacks_of(settings):
        for number in range(stack.settings.depth):
            result += _block_names(stack, number)
        result += linear(f"backbone.{stack.norm}", f"{stack.published}.final_layer_norm", bias=False)
    if head is not None and not head.tied:
        result += linear("heads.next_token.decoder", "lm_head", bias=False)
    return result


def _block_names(stack: Stack, number: int) -> list[Rename]:
    settings = stack.settings
    ours, theirs = f"backbone.{stack.blocks}.{number}", f"{stack.published}.block.{number}.layer"
    attentions = {"attention": "SelfAttention"} | (
        {"cross_attention": "EncDecAttention"} if settings.causal else {}
    )
    result: list[Rename] = []
    for place, (mine, published) in enumerate(attentions.items()):
        result += attention_names(f"{ours}.{mine}", f"{theirs}.{place}.{published}", PARTS, settings)
        result += linear(f"{ours}.{mine}_norm", f"{theirs}.{place}.layer_norm", bias=False)
    if number == 0:
        table = f"{theirs}.0.SelfAttention.relative_attention_bias.weight"
        result.append(Rename(f"{ours}.attention.bias.table", (table,)))
    last = f"{theirs}.{len(attentions)}"
    result += linear(f"{ours}.feed_forward_norm", f"{last}.layer_norm", bias=False)
    return result + _feed_forward_names(f"{ours}.feed_forward", f"{last}.DenseReluDense", settings)


def _feed_forward_names(ours: str, theirs: str, settings: TransformerSettings) -> list[Rename]:
    hidden = settings.feed_forward_width
    inner = (
        fused(f"{ours}.inner", (f"{theirs}.wi_0", f"{theirs}.wi_1"), (hidden, hidden), bias=False)
        if settings.feed_forward in GATED
        else linear(f"{ours}.inner", f"{theirs}.wi", bias=False)
    )
    return inner + linear(f"{ours}.outer", f"{theirs}.wo", bias=False)


def _feed_forward(config: Config) -> FeedForwardKind:
    name = config.get("feed_forward_proj", "relu")
    if name not in FEED_FORWARDS:
        known = ", ".join(FEED_FORWARDS)
        raise BadDataError(f"config.json says feed_forward_proj = {name!r}; this program can load {known}")
    ours, activation = FEED_FORWARDS[name]
    must_be(config, "dense_act_fn", activation)
    must_be(config, "is_gated_act", name.startswith("gated"))
    return ours


def _refusal_of_encoder(settings: TransformerSettings, head: HeadSettings | None) -> str | None:
    if settings.causal:
        return "it has a decoder only"
    return _refusal_of_feed_forward(settings) if head is None else f"there is no {head.name} head in it"


def _refusal_of_feed_forward(settings: TransformerSettings) -> str | None:
    kinds = [ours for ours, _ in FEED_FORWARDS.values()]
    if settings.feed_forward not in kinds:
        return f"feed_forward is {settings.feed_forward!r}, not one of {', '.join(kinds)}"
    return None


def _refusal_of_scale(settings: EncoderDecoderSettings, head: HeadSettings | None) -> str | None:
    if head is None or head.scale == 1.0:
        return None
    if not head.tied:
        return "its head scales the hidden states in front of a matrix of its own"
    return (
        None if head.scale == settings.width**-0.5 else f"its head scales the hidden states by {head.scale}"
    )


LAYOUT = Layout(
    model_type="t5",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    head_in_file=head_in_file,
    names=names,
    body_prefix="",
    repeated=one_table(""),
    # Early files hold a bias of cross-attention that was never added.
    computed=frozenset(["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"]),
)
