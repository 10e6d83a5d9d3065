"""What a user decides about a run. Values left at None are derived, printed and written back before step 0."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from headwater.data.encodings import codec_of
from headwater.errors import SettingsError
from headwater.models.regularization import SHARES
from headwater.models.settings import Attention, Cell, Positions, RecurrentAttention
from headwater.models.sizes import LayoutName
from headwater.nn.block import NormPosition
from headwater.nn.feed_forward import FeedForwardKind
from headwater.nn.norm import NormKind
from headwater.settings import from_mapping, to_mapping

Precision = Literal["fp32", "bf16"]


def _positive(where: str, **numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not 0 < number < math.inf:  # written so that nan is refused too
            raise SettingsError(f"{where}.{name} = {number}; expected a number above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """Where the data are and what of them is read."""

    paths: tuple[str, ...]
    text: tuple[str, ...] | None = None
    encoding: str | None = None  # of texts and tables that are not UTF-8; None: guessed
    label: str | None = None
    hold_out: tuple[str, ...] = ()
    keep_duplicates: bool = False
    weights: tuple[float, ...] | None = None
    validation: str | None = None
    probe: str | None = None
    cache: str | None = None
    side: int | None = None  # of pictures, in pixels
    seconds: float | None = None  # of recordings and clips, that are heard or seen at a time
    frames: int | None = None  # of clips, that are seen of these seconds
    full_volume: bool | None = None  # whether each recording is made as loud as it goes; None: yes
    template: str | None = None  # what is said of a class whose name alone is known: a picture of a {}
    names: tuple[str, ...] | None = None  # other names of classes, as in back=seen from behind
    pair: tuple[str, ...] | None = (
        None  # what belongs together: image, text; or with columns, audio=wav, image=row
    )

    def __post_init__(self) -> None:
        _positive("data", side=self.side, seconds=self.seconds, frames=self.frames)
        if wrong := [weight for weight in self.weights or () if not 0.0 < weight < math.inf]:
            raise SettingsError(f"data.weights holds {wrong[0]}; expected a number above 0 for each path")
        if self.encoding is not None:
            codec_of(self.encoding)


STACKED = (
    "num_key_value_heads",
    "positions",
    "window",
    "feed_forward",
    "norm",
    "norm_position",
    "attention_dropout",
    "stochastic_depth",
)
"""Settings of a Transformer's blocks."""
ATTENTIONS = {"transformer": get_args(Attention), "recurrent": get_args(RecurrentAttention)}
"""What attention there is in a backbone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """Which model: one dial for the size, and overrides for whoever knows better."""

    size: str = "tiny"
    backbone: Literal["transformer", "recurrent", "convolutional"] = "transformer"
    layout: LayoutName | None = (
        None  # None: ModernBERT's, Llama's (the past alone is read), M2M-100's (a source too)
    )
    vocabulary_size: int | None = None
    depth: int | None = None
    width: int | None = None
    num_heads: int | None = None
    num_key_value_heads: int | None = None  # fewer than heads: several heads read the same keys and values
    positions: Positions | None = None
    window: int | None = None  # how far two blocks of three look; 0: every block looks everywhere
    feed_forward: FeedForwardKind | None = None
    feed_forward_width: int | None = None
    norm: NormKind | None = None
    norm_position: NormPosition | None = None
    cell: Cell | None = None  # of a recurrent backbone
    attention: Attention | RecurrentAttention | None = None
    dropout: float | None = None
    attention_dropout: float | None = None
    stochastic_depth: float | None = None  # the share of updates that the last block leaves out in training
    token_vectors: Literal["counted", "random"] = "counted"
    patch: int | None = None  # the side of a picture's patches, in pixels

    def __post_init__(self) -> None:
        _positive(
            "model",
            vocabulary_size=self.vocabulary_size,
            depth=self.depth,
            width=self.width,
            num_heads=self.num_heads,
            num_key_value_heads=self.num_key_value_heads,
            feed_forward_width=self.feed_forward_width,
            patch=self.patch,
        )
        for name, share in self.shares.items():
            if not 0.0 <= share < 1.0:
                raise SettingsError(f"model.{name} = {share}; expected a share from 0 to below 1")
        if self.window is not None and self.window < 0:
            raise SettingsError(f"model.window = {self.window}; expected 0 (none) or a number of positions")
        fitting = ATTENTIONS.get(self.backbone, ())
        if self.attention is not None and self.attention not in fitting:
            choices = f"choose {' or '.join(fitting)}" if fitting else "leave it out"
            raise SettingsError(
                f"model.attention = '{self.attention}' is none of a {self.backbone} backbone; {choices}"
            )
        others = ("cell",) if self.backbone != "recurrent" else ()
        others += STACKED if self.backbone != "transformer" else ()
        if asked := [name for name in others if getattr(self, name) is not None]:
            raise SettingsError(f"model.{asked[0]} says nothing of a {self.backbone} backbone; leave it out")

    @property
    def shares(self) -> dict[str, float]:
        """What is left out in training, as far as it is asked for."""
        return {name: share for name in SHARES if (share := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveSettings:
    """Which rule makes the targets."""

    name: str = "masked_tokens"
    share: float | None = None
    kept: float = 0.1
    label_smoothing: float | None = None
    transforms: Literal["rotations", "flips", "both"] = "rotations"

    def __post_init__(self) -> None:
        if self.transforms != "rotations" and "geometric_transform" not in self.name:
            raise SettingsError(
                f"objective.transforms = '{self.transforms}' is of geometric_transform, and this run learns "
                f"{self.name}; leave it out, or choose --objective geometric_transform"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """How long, how fast, in which portions; all lengths in steps or tokens, never in epochs."""

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    length: int | None = None
    batch_tokens: int | None = None
    batch_rows: int | None = None
    micro_batches: int | None = None
    packed: bool = False
    length_grouping: bool = True
    optimizer: str = "adamw"
    learning_rate: float | None = None
    layer_decay: float = 1.0
    weight_decay: float | None = None
    schedule: str | None = None
    warmup_steps: int | None = None
    decay_steps: int | None = None
    clip: float | None = 1.0
    adapt: Literal["full", "head", "lora", "gradual"] = "full"
    average: Literal["none", "exponential", "last"] | None = None
    average_last: int | None = None  # of "last": how many weights
    average_steps: int | None = None  # of "last": how far they are apart
    early_stopping: int | None = None
    stop_when_flat: bool = False
    activation_checkpointing: bool = False
    moved: float | None = (
        None  # how far a picture may be shown moved, as a share of its side; None: an eighth
    )
    mirrored: bool | None = None  # whether pictures may be shown mirrored; None: those in colour
    varied: float | None = (
        None  # how strongly recordings are varied in pitch, tempo, colour and noise; 1: fully
    )
    checkpoint_steps: int | None = None
    evaluation_steps: int | None = None

    def __post_init__(self) -> None:
        _positive(
            "training",
            steps=self.steps,
            minutes=self.minutes,
            length=self.length,
            batch_tokens=self.batch_tokens,
            batch_rows=self.batch_rows,
            micro_batches=self.micro_batches,
            learning_rate=self.learning_rate,
            clip=self.clip,
            average_last=self.average_last,
            average_steps=self.average_steps,
            early_stopping=self.early_stopping,
            checkpoint_steps=self.checkpoint_steps,
            evaluation_steps=self.evaluation_steps,
        )
        for name in ("average_last", "average_steps"):
            if getattr(self, name) is not None and self.average != "last":
                raise SettingsError(
                    f"training.{name} belongs to training.average=last; give both, or leave it out"
                )
        if self.varied is not None and not 0.0 <= self.varied <= 1.0:
            raise SettingsError(f"training.varied = {self.varied}; expected a strength from 0 to 1")
        if self.moved is not None and not 0.0 <= self.moved < 1.0:
            raise SettingsError(
                f"training.moved = {self.moved}; expected a share of the side from 0 to below 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterSettings:
    """How large the corrections of ``training.adapt = "lora"`` are: (alpha / rank) · B A."""

    rank: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        _positive("adapter", rank=self.rank, alpha=self.alpha)


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineSettings:
    """What the machine decides; measured once, then kept for the life of the run."""

    device: str | None = None
    threads: int | None = None
    precision: Precision | None = None
    compile: bool | None = None
    prefetch: int = 2

    def __post_init__(self) -> None:
        _positive("machine", threads=self.threads)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """Everything that a run is made from; the resolved form stands in the run folder's settings.toml."""

    kind: Literal["pretrain", "finetune"]
    data: DataSettings
    start_from: str | None = None  # a run, a model folder, or None for random weights
    task: str | None = None
    model: ModelSettings = field(default_factory=ModelSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)

    def __post_init__(self) -> None:
        if self.start_from is not None and self.model.layout is not None:
            raise SettingsError(
                f"model.layout = '{self.model.layout}' does not fit: {self.start_from} brings its layout; leave it "
                "out, or begin with random weights"
            )

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> "RunSettings":
        """Settings from TOML tables, strictly."""
        return from_mapping(cls, values)

    def to_mapping(self) -> dict[str, Any]:
        """The same as TOML tables."""
        return to_mapping(self)

    def by_full_name(self) -> dict[str, str | float]:
        """The same in one level, ``training.learning_rate`` = 0.001; several values as one text."""
        return {name: _one(value) for name, value in _flat(self.to_mapping())}

    def having(self, **tables: dict[str, Any]) -> "RunSettings":
        """These settings with some values of some tables replaced: ``having(training={"steps": 10})``."""
        changed = {
            name: dataclasses.replace(getattr(self, name), **values) for name, values in tables.items()
        }
        return dataclasses.replace(self, **changed)


def _flat(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value


def _one(value: Any) -> str | float:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
