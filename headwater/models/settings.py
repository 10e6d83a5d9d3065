"""What a user decides about a backbone: frozen classes that check themselves.

Shape letters: C width, H heads, K key-value heads, D head width, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, cast, get_args

from headwater.errors import SettingsError
from headwater.models.checks import LARGEST, check_choice, check_counts, check_positive, check_shares
from headwater.nn.block import NORM_POSITIONS, NormPosition
from headwater.nn.feed_forward import FEED_FORWARD_KINDS, FeedForwardKind
from headwater.nn.norm import NORM_KINDS, NormKind
from headwater.nn.positions import check_buckets
from headwater.settings import from_mapping

Positions = Literal[
    "rotary",
    "learned",
    "learned_from_two",
    "sinusoidal",
    "sinusoidal_halves",
    "sinusoidal_tensor2tensor",
    "relative",
    "alibi",
    "none",
]
ClassicLayout = Literal["bert", "electra", "gpt2"]
Cell = Literal["lstm", "gru"]
RecurrentAttention = Literal["none", "additive"]
Attention = Literal["softmax", "linear"]


@dataclass(frozen=True, kw_only=True)
class PatchSettings:
    """Pictures as ``rows`` × ``columns`` squares of ``side`` × ``side`` pixels with ``channels`` values each.

    Of a clip the rows are those of its ``slices`` of time, one below the other. ``bias``: the map of a patch has one.
    """

    rows: int
    columns: int
    side: int
    channels: int
    slices: int = 1
    bias: bool = True

    def __post_init__(self) -> None:
        for name, value in self.cut.items():
            if type(value) is not int or not 1 <= value <= LARGEST["max_length"]:
                raise SettingsError(
                    f"patches.{name}={value!r}; expected a whole number above 0, within reason"
                )
        if self.rows % self.slices:
            raise SettingsError(
                f"patches.rows={self.rows} and patches.slices={self.slices}; expected as many rows in every slice"
            )

    @property
    def count(self) -> int:
        """Patches of a picture."""
        return self.rows * self.columns

    @property
    def cut(self) -> dict[str, int]:
        """What a sequencer knows of them as well, by name."""
        return {name: getattr(self, name) for name in ("rows", "columns", "side", "channels", "slices")}

    @property
    def features(self) -> int:
        """Numbers of a patch."""
        return self.side**2 * self.channels


@dataclass(frozen=True, kw_only=True)
class BackboneSettings:
    """What every backbone has: a vocabulary, a width, a depth.

    With ``patches`` it reads pictures: there is no vocabulary (0, and no padding).
    """

    vocabulary_size: int
    width: int
    depth: int
    pad_token: int | None = 0
    patches: PatchSettings | None = None

    def __post_init__(self) -> None:
        check_counts(self, ("width", "depth"))
        self._check_vocabulary()

    def _check_vocabulary(self) -> None:
        if self.patches is not None:
            if self.vocabulary_size or self.pad_token is not None:
                raise SettingsError(
                    f"patches are no tokens: found vocabulary_size={self.vocabulary_size} and "
                    f"pad_token={self.pad_token} beside them; expected 0 and None"
                )
            return
        check_counts(self, ("vocabulary_size",))
        if self.pad_token is not None and not 0 <= self.pad_token < self.vocabulary_size:
            raise SettingsError(
                f"pad_token={self.pad_token} is not in the vocabulary of {self.vocabulary_size} tokens; "
                f"choose 0 … {self.vocabulary_size - 1}, or None"
            )

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, as JSON knows it."""
        return {
            **{
                name: list(cast(tuple[object, ...], value)) if isinstance(value, tuple) else value
                for name, value in vars(self).items()
            },
            "patches": None if self.patches is None else vars(self.patches),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """The reverse; an unknown name is a SettingsError that proposes the nearest one."""
        return from_mapping(cls, values)


@dataclass(frozen=True, kw_only=True)
class TransformerSettings(BackboneSettings):
    """A stack of one kind of block; encoder or decoder, the 2017 original or its descendants.

    ``windows`` gives each block's reach in positions (|q − k| < window; None reads everything); empty means
    None for all. ``rotary_theta`` turns the blocks without a window, ``local_rotary_theta`` those with one
    (None: the same). ``relative_buckets`` and ``relative_distance`` part the distances that relative positions tell
    apart. ``attention`` "linear" sums over keys and knows no single pairs, so what acts on those is refused beside it.
    ``attention_scale`` multiplies scores (None: 1/√D), ``embedding_scale`` token vectors. ``max_length`` is the
    length of a learned or sinusoidal table; elsewhere it is only what is written down for others.
    ``num_key_value_heads`` None means one per head, ``head_dim`` None means width / heads, ``embedding_width`` None a
    table of tokens as wide as the model. ``layout`` names the published layout whose heads and tensor names the model
    takes where its parts do not tell (BERT's and ELECTRA's bodies are the same); None: the one that fits, or our own.
    With ``patches`` there is a learnt position for [CLS] and for each patch.
    """

    num_heads: int
    feed_forward_width: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    embedding_width: int | None = None
    feed_forward: FeedForwardKind = "geglu"
    norm: NormKind = "layer_without_bias"
    norm_position: NormPosition = "before"
    norm_epsilon: float = 1e-5
    linear_bias: bool = False
    positions: Positions = "rotary"
    rotary_theta: float = 10_000.0
    local_rotary_theta: float | None = None
    relative_buckets: int = 32
    relative_distance: int = 128
    attention: Attention = "softmax"
    attention_scale: float | None = None
    causal: bool = False
    windows: tuple[int | None, ...] = ()
    embedding_norm: bool = False
    first_attention_norm: bool = True
    final_norm: bool = True
    embedding_scale: float = 1.0
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    feed_forward_dropout: float = 0.0
    residual_dropout: float = 0.0
    stochastic_depth: float = 0.0
    max_length: int = 2048
    layout: ClassicLayout | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("num_heads", "feed_forward_width", "num_key_value_heads", "head_dim"))
        check_counts(self, ("embedding_width", "max_length", "relative_buckets", "relative_distance"))
        check_choice(self, "feed_forward", FEED_FORWARD_KINDS)
        check_choice(self, "norm", NORM_KINDS)
        check_choice(self, "norm_position", NORM_POSITIONS)
        check_choice(self, "positions", get_args(Positions))
        check_choice(self, "attention", get_args(Attention))
        if self.layout is not None:
            check_choice(self, "layout", get_args(ClassicLayout))
        check_shares(self, [name for name in vars(self) if name.endswith("dropout")] + ["stochastic_depth"])
        check_positive(
            self, ("norm_epsilon", "rotary_theta", "local_rotary_theta", "attention_scale", "embedding_scale")
        )
        self._check_heads()
        self._check_windows()
        if self.attention == "linear":
            self._check_sums()
        if self.positions == "relative":
            check_buckets(self.relative_buckets, self.relative_distance, both_sides=not self.causal)
        if self.norm_position == "after" and not self.first_attention_norm:
            raise SettingsError(
                "first_attention_norm=False needs norm_position='before': it leaves out a norm in front"
            )

    @property
    def key_value_heads(self) -> int:
        """Key-value heads K, resolved."""
        return self.num_heads if self.num_key_value_heads is None else self.num_key_value_heads

    @property
    def head_width(self) -> int:
        """Width D of one head, resolved."""
        return self.width // self.num_heads if self.head_dim is None else self.head_dim

    @property
    def table_width(self) -> int:
        """Width of a token's vector in the table, resolved."""
        return self.width if self.embedding_width is None else self.embedding_width

    @property
    def longest_row(self) -> int | None:
        """Tokens of the longest row that can be read; None where positions are not learnt one by one."""
        return self.max_length if self.positions.startswith("learned") else None

    def window_of(self, block: int) -> int | None:
        """How far block number ``block`` reads."""
        return self.windows[block] if self.windows else None

    def theta_of(self, block: int) -> float:
        """The base of block number ``block``'s rotary frequencies."""
        local = self.window_of(block) is not None and self.local_rotary_theta is not None
        return self.local_rotary_theta if local and self.local_rotary_theta else self.rotary_theta

    def _check_vocabulary(self) -> None:
        super()._check_vocabulary()
        if self.patches is None:
            return
        if self.positions != "learned" or self.max_length != self.patches.count + 1 or self.causal:
            raise SettingsError(
                f"a picture of {self.patches.count} patches has as many learnt positions and one for [CLS], and is "
                f"read whole; found positions={self.positions!r}, max_length={self.max_length}, causal={self.causal}"
            )

    def _check_heads(self) -> None:
        if self.head_dim is None and self.width % self.num_heads:
            fitting = [heads for heads in range(1, self.num_heads + 1) if self.width % heads == 0]
            raise SettingsError(
                f"num_heads={self.num_heads} does not divide width={self.width}; "
                f"choose {', '.join(map(str, fitting[-4:]))}, or give head_dim"
            )
        if self.num_heads % self.key_value_heads:
            raise SettingsError(
                f"num_key_value_heads={self.key_value_heads} does not divide num_heads={self.num_heads}: "
                "each key-value head serves an equal group of heads"
            )
        if self.positions == "rotary" and self.head_width % 2:
            raise SettingsError(
                f"rotary positions turn pairs of numbers, but a head has {self.head_width}; make it even"
            )

    def _check_sums(self) -> None:
        strange = {
            f"positions={self.positions!r}": self.positions in ("relative", "alibi"),
            "a window": any(window is not None for window in self.windows),
            f"attention_dropout={self.attention_dropout}": self.attention_dropout > 0.0,
            f"attention_scale={self.attention_scale}": self.attention_scale is not None,
        }
        if found := [name for name, present in strange.items() if present]:
            raise SettingsError(
                f"attention='linear' knows sums over keys and no single pairs, on which {found[0]} acts; leave one of "
                "them out"
            )

    def _check_windows(self) -> None:
        if self.windows and len(self.windows) != self.depth:
            raise SettingsError(
                f"windows names {len(self.windows)} blocks, depth is {self.depth}; give one for each block"
            )
        for window in self.windows:
            if window is not None and (type(window) is not int or window < 1):
                raise SettingsError(
                    f"windows holds {window!r}; a window is a whole number above 0, or None for no limit"
                )


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderSettings(BackboneSettings):
    """Two Transformers: the second writes while it reads what the first has made of a source.

    They share one table of tokens, unless the first reads patches. ``depth`` counts the blocks of both.
    """

    encoder: TransformerSettings
    decoder: TransformerSettings

    @property
    def looks(self) -> bool:
        """Whether the source is a picture, a recording or a clip."""
        return self.encoder.patches is not None

    @classmethod
    def of(cls, encoder: TransformerSettings, decoder: TransformerSettings) -> Self:
        """The pair; what both must agree on is checked."""
        return cls(
            vocabulary_size=decoder.vocabulary_size,
            width=decoder.width,
            depth=encoder.depth + decoder.depth,
            pad_token=decoder.pad_token,
            encoder=encoder,
            decoder=decoder,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        encoder, decoder = self.encoder, self.decoder
        shared = (
            *("vocabulary_size", "width", "embedding_width"),
            *("positions", "max_length", "embedding_scale", "pad_token"),
        )
        for name in ("width",) if self.looks else shared:
            if getattr(encoder, name) != getattr(decoder, name):
                raise SettingsError(
                    f"encoder and decoder share one table of tokens, but {name} is {getattr(encoder, name)} in one and "
                    f"{getattr(decoder, name)} in the other; make them equal"
                )
        if encoder.causal or not decoder.causal:
            raise SettingsError(
                "in an encoder-decoder the encoder reads both sides and the decoder the past: set causal so"
            )
        own = (self.vocabulary_size, self.width, self.depth, self.pad_token)
        if own != (decoder.vocabulary_size, decoder.width, encoder.depth + decoder.depth, decoder.pad_token):
            raise SettingsError(
                "vocabulary_size, width, depth and pad_token of the pair are not those of its two halves; make them so"
            )

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, the two halves as tables of their own."""
        return {**super().to_dict(), "encoder": self.encoder.to_dict(), "decoder": self.decoder.to_dict()}


@dataclass(frozen=True, kw_only=True)
class RecurrentSettings(BackboneSettings):
    """A stack of LSTM or GRU layers, one-directional ("past") or bidirectional ("both").

    With ``attention="additive"`` every token's state also reads the states of its document, as Bahdanau's
    decoder reads its encoder. ``dropout`` acts between layers.
    """

    hidden_width: int
    cell: Cell = "lstm"
    bidirectional: bool = True
    attention: RecurrentAttention = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("hidden_width",))
        check_choice(self, "cell", get_args(Cell))
        check_choice(self, "attention", get_args(RecurrentAttention))
        check_shares(self, ("dropout",))


@dataclass(frozen=True, kw_only=True)
class ConvolutionalSettings(BackboneSettings):
    """A stack of gated dilated convolutions, causal ("past") or centred ("both").

    Block i looks ``kernel`` tokens wide with gaps of 2^(i mod ``dilation_cycle``), so the reach doubles with
    depth.
    """

    hidden_width: int
    kernel: int = 5
    dilation_cycle: int = 6
    causal: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("hidden_width", "kernel", "dilation_cycle"))
        check_shares(self, ("dropout",))
        if not self.causal and self.kernel % 2 == 0:
            raise SettingsError(
                f"kernel={self.kernel} has no middle; a centred convolution is odd: {self.kernel + 1}"
            )


@dataclass(frozen=True, kw_only=True)
class ResidualSettings(BackboneSettings):
    """A residual network over the pixels of pictures, down to one vector a patch: ``depth`` blocks a stage.

    ``hidden_width`` are the channels of the first stage; every further one has twice as many and half the lines.
    """

    hidden_width: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("hidden_width",))
        check_shares(self, ("dropout",))
        if self.patches is None:
            raise SettingsError("a residual network reads pictures; give patches, or choose another backbone")
