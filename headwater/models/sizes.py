"""One dial: the sizes by name, the vocabulary that fits a corpus, and baselines of equal parameters."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from headwater.errors import SettingsError
from headwater.models.cost import body_parameters
from headwater.models.settings import (
    ConvolutionalSettings,
    EncoderDecoderSettings,
    PatchSettings,
    RecurrentSettings,
    ResidualSettings,
    TransformerSettings,
)
from headwater.nn.feed_forward import GATED, FeedForwardKind
from headwater.settings import unknown_choice


class Size(NamedTuple):
    """Depth, width and heads; every head is 32 (nano) or 64 numbers wide."""

    depth: int
    width: int
    num_heads: int


SIZES: dict[str, Size] = {
    "nano": Size(2, 128, 4),
    "tiny": Size(4, 256, 4),
    "small": Size(6, 384, 6),
    "base": Size(12, 768, 12),
    "large": Size(24, 1024, 16),
}


def size_named(name: str) -> Size:
    """The size of that name."""
    if name not in SIZES:
        raise SettingsError(unknown_choice("model.size", name, list(SIZES)))
    return SIZES[name]


def gated_width(width: int) -> int:
    """Hidden width of a gated feed-forward: 8/3 of the width, to the nearest multiple of 64.

    Three matrices of that width hold what the two of the classic 4 · width hold (Shazeer 2020,
    arXiv:2002.05202); multiples of 64 keep matrix products on their fast path.
    """
    return max(64, round(width * 8 / 3 / 64) * 64)


def feed_forward_width(kind: FeedForwardKind, width: int) -> int:
    """Hidden width of a feed-forward of that kind where nobody says another."""
    return gated_width(width) if kind in GATED else 4 * width


def encoder_settings(size: str, vocabulary_size: int, *, max_length: int = 8192) -> TransformerSettings:
    """An encoder in ModernBERT's layout: GeGLU, rotary positions, layer norm without bias.

    Every third block reads everything, the others 64 positions to either side.
    Source: Warner et al. 2024, section 2.1, arXiv:2412.13663.
    """
    depth, width, num_heads = size_named(size)
    return TransformerSettings(
        vocabulary_size=vocabulary_size,
        width=width,
        depth=depth,
        num_heads=num_heads,
        feed_forward_width=gated_width(width),
        windows=tuple(None if number % 3 == 0 else 65 for number in range(depth)),
        embedding_norm=True,
        first_attention_norm=False,
        max_length=max_length,
    )


def decoder_settings(size: str, vocabulary_size: int, *, max_length: int = 2048) -> TransformerSettings:
    """A decoder in Llama's layout: SwiGLU, rotary positions, RMS norm.

    Source: Touvron et al. 2023, arXiv:2302.13971.
    """
    depth, width, num_heads = size_named(size)
    return TransformerSettings(
        vocabulary_size=vocabulary_size,
        width=width,
        depth=depth,
        num_heads=num_heads,
        feed_forward_width=gated_width(width),
        feed_forward="swiglu",
        norm="rms",
        causal=True,
        max_length=max_length,
    )


def eurobert_settings(size: str, vocabulary_size: int, *, max_length: int = 8192) -> TransformerSettings:
    """An encoder in EuroBERT's layout: Llama's block, reading both sides.

    Source: Boizard et al. 2025, arXiv:2503.05500.
    """
    return replace(decoder_settings(size, vocabulary_size, max_length=max_length), causal=False)


def bert_settings(size: str, vocabulary_size: int, *, max_length: int = 512) -> TransformerSettings:
    """An encoder in BERT's layout: norms behind each update, learnt positions, every bias.

    Source: Devlin et al. 2018, section 3, arXiv:1810.04805.
    """
    depth, width, num_heads = size_named(size)
    return TransformerSettings(
        vocabulary_size=vocabulary_size,
        width=width,
        depth=depth,
        num_heads=num_heads,
        feed_forward_width=4 * width,
        feed_forward="gelu",
        norm="layer",
        norm_position="after",
        norm_epsilon=1e-12,
        linear_bias=True,
        positions="learned",
        embedding_norm=True,
        final_norm=False,
        max_length=max_length,
        layout="bert",
    )


def electra_settings(size: str, vocabulary_size: int, *, max_length: int = 512) -> TransformerSettings:
    """An encoder in ELECTRA's layout: BERT's body, whose detector of replaced tokens is shipped with it.

    Source: Clark et al. 2020, section 3.1, arXiv:2003.10555.
    """
    return replace(bert_settings(size, vocabulary_size, max_length=max_length), layout="electra")


def gpt2_settings(size: str, vocabulary_size: int, *, max_length: int = 1024) -> TransformerSettings:
    """A decoder in GPT-2's layout: norms in front, learnt positions, every bias.

    Source: Radford et al. 2019, section 2.3.
    """
    depth, width, num_heads = size_named(size)
    return TransformerSettings(
        vocabulary_size=vocabulary_size,
        width=width,
        depth=depth,
        num_heads=num_heads,
        feed_forward_width=4 * width,
        feed_forward="gelu_tanh",
        norm="layer",
        linear_bias=True,
        positions="learned",
        causal=True,
        max_length=max_length,
        layout="gpt2",
    )


def picture_settings(size: str, patches: PatchSettings) -> TransformerSettings:
    """An encoder of pictures in ViT's layout. Source: Dosovitskiy et al. 2021, section 3.1, arXiv:2010.11929."""
    depth, width, num_heads = size_named(size)
    return TransformerSettings(
        vocabulary_size=0,
        pad_token=None,
        width=width,
        depth=depth,
        num_heads=num_heads,
        feed_forward_width=4 * width,
        feed_forward="gelu",
        norm="layer",
        norm_epsilon=1e-6,
        linear_bias=True,
        positions="learned",
        max_length=patches.count + 1,
        patches=patches,
    )


PairLayout = Literal["m2m_100", "marian", "bart", "t5"]
PAIR_LAYOUTS: tuple[PairLayout, ...] = get_args(PairLayout)
LayoutName = Literal["modernbert", "eurobert", "bert", "electra", "llama", "gpt2", PairLayout]
ENCODERS: dict[LayoutName, Callable[[str, int], TransformerSettings]] = {
    "modernbert": encoder_settings,
    "eurobert": eurobert_settings,
    "bert": bert_settings,
    "electra": electra_settings,
}
"""Stacks that read both sides, by their published layouts; the first is the usual one."""
DECODERS: dict[LayoutName, Callable[[str, int], TransformerSettings]] = {
    "llama": decoder_settings,
    "gpt2": gpt2_settings,
}
"""Stacks that read the past."""


def paper_base(vocabulary_size: int, *, causal: bool = False) -> TransformerSettings:
    """One stack of the paper's base model. Source: Vaswani et al. 2017, table 3, arXiv:1706.03762."""
    return TransformerSettings(
        vocabulary_size=vocabulary_size,
        width=512,
        depth=6,
        num_heads=8,
        feed_forward_width=2048,
        feed_forward="relu",
        norm="layer",
        norm_position="after",
        linear_bias=True,
        positions="sinusoidal_halves",  # the paper's, its features in Marian's order
        causal=causal,
        final_norm=False,
        embedding_scale=512**0.5,
        embedding_dropout=0.1,
        residual_dropout=0.1,
        max_length=512,
    )


def paper_big(vocabulary_size: int, *, causal: bool = False) -> TransformerSettings:
    """One stack of the paper's big model (English to German: dropout 0.3)."""
    return replace(
        paper_base(vocabulary_size, causal=causal),
        width=1024,
        num_heads=16,
        feed_forward_width=4096,
        embedding_scale=1024**0.5,
        embedding_dropout=0.3,
        residual_dropout=0.3,
    )


PAPER_SIZES = {"paper_base": paper_base, "paper_big": paper_big}


def encoder_decoder_settings(
    size: str, vocabulary_size: int, *, layout: PairLayout | None = None, max_length: int = 1024
) -> EncoderDecoderSettings:
    """An encoder and a decoder of that size each, in M2M-100's layout unless another is named.

    M2M-100 is the paper's architecture with the norms in front: it learns without a long warm-up. The paper's own
    two are Marian's. Source: Fan et al. 2020, arXiv:2010.11125; Xiong et al. 2020, arXiv:2002.04745.
    """
    if size in PAPER_SIZES:
        if layout not in (None, "marian"):
            raise SettingsError(
                f"model.size = '{size}' is the paper's own model, in Marian's layout; for {layout}'s choose one of "
                f"{', '.join(SIZES)}"
            )
        build = PAPER_SIZES[size]
        return EncoderDecoderSettings.of(build(vocabulary_size), build(vocabulary_size, causal=True))
    depth, width, num_heads = size_named(size)
    encoder = _in_layout(
        layout or "m2m_100",
        TransformerSettings(
            vocabulary_size=vocabulary_size,
            width=width,
            depth=depth,
            num_heads=num_heads,
            feed_forward_width=4 * width,
            embedding_dropout=0.1,
            residual_dropout=0.1,
            max_length=max_length,
        ),
    )
    return EncoderDecoderSettings.of(encoder, replace(encoder, causal=True))


def _in_layout(layout: PairLayout, plain: TransformerSettings) -> TransformerSettings:
    """A stack with what is the layout's own."""
    m2m_100 = replace(
        plain,
        feed_forward="relu",
        norm="layer",
        linear_bias=True,
        positions="sinusoidal_tensor2tensor",
        embedding_scale=plain.width**0.5,
    )
    marian = replace(m2m_100, norm_position="after", final_norm=False, positions="sinusoidal_halves")
    match layout:
        case "m2m_100":
            return m2m_100
        case "marian":
            return marian
        case "bart":  # Lewis et al. 2020, section 2.1, arXiv:1910.13461
            return replace(
                marian,
                feed_forward="gelu",
                positions="learned_from_two",
                embedding_norm=True,
                embedding_scale=1.0,
            )
        case "t5":  # 1.1: Shazeer 2020, arXiv:2002.05202; the rest: Raffel et al. 2020, arXiv:1910.10683
            return replace(
                plain,
                feed_forward_width=gated_width(plain.width),
                feed_forward="geglu_tanh",
                norm="rms",
                norm_epsilon=1e-6,
                positions="relative",
                attention_scale=1.0,
            )


ENCODER_DECODERS: dict[LayoutName, Callable[[str, int], EncoderDecoderSettings]] = {
    layout: partial(encoder_decoder_settings, layout=layout) for layout in PAIR_LAYOUTS
}
"""Stacks that read a source while they write."""

BaselineKind = Literal["recurrent", "convolutional"]


def matched_settings(
    target_parameters: int,
    kind: BaselineKind,
    vocabulary_size: int,
    *,
    width: int | None = None,
    depth: int | None = None,
    causal: bool = False,
    patches: PatchSettings | None = None,
) -> RecurrentSettings | ConvolutionalSettings | ResidualSettings:
    """A baseline with ``target_parameters`` besides its embeddings, within 5 %.

    The width stays that of the Transformer, so that embeddings and heads match too; the hidden width is
    searched. Without ``width``, that of the named size nearest to the target. Two recurrent layers by
    default, as many convolutions as the nearest size has blocks; over ``patches`` a residual network of two blocks a
    stage.
    """
    nearest = min(SIZES.values(), key=lambda size: abs(12 * size.depth * size.width**2 - target_parameters))
    shared: dict[str, Any] = {
        "vocabulary_size": vocabulary_size,
        "width": nearest.width if width is None else width,
        "patches": patches,
        **({} if patches is None else {"pad_token": None}),
    }

    if kind == "recurrent":
        usual = RecurrentSettings(**shared, depth=depth or 2, hidden_width=1, bidirectional=not causal)
        return matched_hidden(usual, target_parameters)
    if kind != "convolutional":
        raise SettingsError(f"baseline {kind!r} does not exist; choose 'recurrent' or 'convolutional'")
    if patches is not None:
        return matched_hidden(ResidualSettings(**shared, depth=depth or 2, hidden_width=1), target_parameters)
    deep = depth or nearest.depth
    usual = ConvolutionalSettings(**shared, depth=deep, hidden_width=1, causal=causal)
    return matched_hidden(usual, target_parameters)


Baseline = TypeVar("Baseline", RecurrentSettings, ConvolutionalSettings, ResidualSettings)


def matched_hidden(settings: Baseline, target_parameters: int) -> Baseline:
    """The same baseline with the hidden width that brings it nearest to ``target_parameters`` besides its embeddings.

    SettingsError where none comes within 5 %.
    """
    having = lambda hidden: replace(settings, hidden_width=hidden)  # noqa: E731
    found = having(_search(lambda hidden: body_parameters(having(hidden)), target_parameters))
    error = abs(body_parameters(found) / target_parameters - 1)
    if error > 0.05:
        raise SettingsError(
            f"no {type(found).__name__} of width {found.width} comes within 5 % of {target_parameters:,} parameters "
            f"(nearest: {body_parameters(found):,}); give another width or depth"
        )
    return found


def _search(parameters: Callable[[int], int], target: int) -> int:
    """The whole number whose count is nearest to the target; counts grow with it."""
    high = 1
    while parameters(high) < target:
        high *= 2
    low = max(1, high // 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if parameters(middle) >= target else (middle, high)
    return min((low, high), key=lambda hidden: abs(parameters(hidden) - target))
