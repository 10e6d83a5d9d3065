"""What training starts from: a kind of backbone and a vocabulary, with weights learnt before or without."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from headwater.data.kinds import PathLike, Side
from headwater.data.media_tables import modality_of
from headwater.data.sequencers import (
    CodedPatches,
    Patches,
    Sequencer,
    Sequencing,
    Sides,
    Tokenizer,
    vocabulary_in,
)
from headwater.data.sequencers.codes import FILE as CODES_FILE
from headwater.errors import MissingInputError, UsageError
from headwater.models import (
    BackboneSettings,
    Bundle,
    EncoderDecoderSettings,
    HeadSettings,
    Model,
    Tower,
    TransformerSettings,
    TwoTowers,
    TwoTowerSettings,
    begin_with_grid,
    build_model,
    load_bundle,
    with_shares,
)

DEFAULT_LENGTH = 256
WORD_HEAD = "next_token"
"""The head that says which words come next: every task that writes goes on with the one that was pre-trained."""


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Settings and sequencer, and what another run learnt: the backbone's weights and the head for next words."""

    settings: BackboneSettings
    sequencer: Sequencing
    card: Mapping[str, Any]
    weights: Mapping[str, Tensor] | None = None
    word_head: HeadSettings | None = None
    word_weights: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    words: Tokenizer | None = None
    """The vocabulary of what is written, where the source is no text."""

    @classmethod
    def of_run(
        cls,
        path: str | Path,
        *,
        data: PathLike | Iterable[PathLike] | None = None,
        shares: Mapping[str, float] | None = None,
        both: bool = False,
    ) -> "StartingPoint":
        """The shipped model of a run, or a model folder; of a run of pairs, the side that reads ``data``, or ``both``.

        It leaves ``shares`` out in training in place of its own.
        """
        bundle = load_bundle(model_folder(Path(path)), shares)
        if both:
            model, sequencer, words = bundle.model, both_sides(bundle, path), None
        else:
            model, sequencer, _, words = one_side(bundle, data)
        head = model.head_settings.get(WORD_HEAD)
        settings = getattr(model.backbone, "settings", None)
        assert isinstance(settings, BackboneSettings)
        return cls(
            settings=settings,
            sequencer=sequencer,
            card=bundle.card,
            weights=_weights_of(model.backbone),
            word_head=head,
            word_weights=_weights_of(model.heads[WORD_HEAD]) if head is not None else {},
            words=words,
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary; SettingsError where it reads pictures."""
        return vocabulary_in(self.sequencer, "this run")

    @property
    def digest(self) -> str:
        """What a model that starts here depends on: its shape, its vocabulary, its weights."""
        found = hashlib.blake2b(digest_size=16)
        found.update(f"{type(self.settings).__name__}{self.settings}{self.sequencer.digest}".encode())
        for weights in (self.weights or {}, self.word_weights):
            for name, tensor in sorted(weights.items()):
                found.update(name.encode())
                found.update(tensor.contiguous().cpu().numpy().tobytes())
        return found.hexdigest()

    @property
    def size(self) -> str:
        """The name of the model's size, as the run that made it knew it."""
        return str(self.card.get("size", "tiny"))

    @property
    def length(self) -> int:
        """Tokens of a text that the model was trained to read; pictures are as long as they have patches."""
        if isinstance(self.sequencer, Patches):
            return self.sequencer.length
        return int(self.card.get("length") or DEFAULT_LENGTH)

    def without_weights(self) -> "StartingPoint":
        """The same architecture and sequencer with nothing learnt: the scratch arm."""
        return StartingPoint(self.settings, self.sequencer, self.card, words=self.words)

    def having(self, settings: BackboneSettings) -> "StartingPoint":
        """Another kind of backbone over the same sequences, with nothing learnt."""
        return StartingPoint(settings, self.sequencer, self.card)

    def writing(self, decoder: TransformerSettings, words: Tokenizer) -> "StartingPoint":
        """The same encoder, and a decoder behind it that has learnt nothing."""
        assert isinstance(self.settings, TransformerSettings)
        pair = EncoderDecoderSettings.of(self.settings, decoder)
        return replace(self, settings=pair, words=words, word_head=None, word_weights={})

    @property
    def shipped(self) -> Sequencing:
        """How examples become sequences, as a model folder says it."""
        if self.words is None:
            return self.sequencer
        assert not isinstance(self.sequencer, Sides)
        return Sides(self.sequencer, self.words)

    def with_shares(self, asked: Mapping[str, float], *, dropout: float) -> "StartingPoint":
        """The same start that leaves out what is asked for as it learns; a Transformer's usual dropout is said."""
        usual = {"dropout": dropout} if self.is_transformer else {}
        return replace(self, settings=with_shares(self.settings, usual | dict(asked)))

    @property
    def is_transformer(self) -> bool:
        """Whether it is one Transformer or two, not one of the baselines."""
        return isinstance(self.settings, TransformerSettings | EncoderDecoderSettings | TwoTowerSettings)

    def model(self, head: str | None, *, seed: int, **options: Any) -> Model:
        """A model with a head of that name, or none; the seed decides every weight that was not learnt before."""
        learnt = self.word_head if head == WORD_HEAD else None
        if learnt is not None:
            options = {name: value for name, value in vars(learnt).items() if name != "name"} | options
        model = build_model(self.settings, head=head, seed=seed, **options)
        if self.weights is not None:
            missing, strange = model.backbone.load_state_dict(dict(self.weights), strict=False)
            behind = missing if self.words is not None and not self.word_weights else []
            assert not strange, f"weights without a place: {strange}"
            assert missing == behind, f"no weights for {missing}"
            model.begin_outputs_as_tables()
        else:
            begin_with_grid(model)
        if learnt is not None:
            model.heads[WORD_HEAD].load_state_dict(dict(self.word_weights))
        return model


class OneSide(NamedTuple):
    """A model that reads one kind of data; of pairs, one side, and the tower that makes its vectors."""

    model: Model
    sequencer: Sequencer
    tower: Tower | None = None
    words: Tokenizer | None = None
    """Of what writes: its vocabulary, where the source is no text."""


def one_side(bundle: Bundle, data: PathLike | Iterable[PathLike] | None) -> OneSide:
    """What of a shipped model reads ``data``; where nobody says what is read, text, if there is such a side.

    Raises UsageError where neither side of a model of pairs does.
    """
    sides, backbone = sequencer_of(bundle), bundle.model.backbone
    if not isinstance(sides, Sides):
        return OneSide(bundle.model, sides)
    if not isinstance(backbone, TwoTowers):
        return OneSide(bundle.model, sides.first, words=sides.text)
    kind: Side = ("text" if sides.text else sides.kinds[0]) if data is None else modality_of(data)
    place = sides.place(kind, bundle.folder.parent)
    tower = (backbone.first, backbone.second)[place]
    return OneSide(Model(tower.stack), (sides.first, sides.second)[place], tower)


def both_sides(bundle: Bundle, owner: object) -> Sides:
    """How a model of pairs reads both sides of a row; UsageError where it reads one kind of data."""
    sides = sequencer_of(bundle)
    if isinstance(sides, Sides) and isinstance(bundle.model.backbone, TwoTowers):
        return sides
    raise UsageError(
        f"{owner} reads one kind of data, and --pair names two; leave --pair out, or begin with 'scratch' or a run of "
        "pairs: headwater pretrain PAIRS.tsv --objective pair_contrast"
    )


def sequencer_of(bundle: Bundle) -> Sequencing:
    """How examples become sequences for a shipped model."""
    if isinstance(bundle.settings, TwoTowerSettings):
        return Sides.load(
            bundle.folder, *(side.patches and side.patches.cut for side in bundle.settings.sides)
        )
    if isinstance(bundle.settings, EncoderDecoderSettings) and (seen := bundle.settings.encoder.patches):
        return Sides.load(bundle.folder, seen.cut, None)
    if (patches := bundle.settings.patches) is not None:
        writes = bundle.tokenizer_path.is_file()
        return (
            Sides.load(bundle.folder, patches.cut, None)
            if writes
            else Patches.load(bundle.folder, **patches.cut)
        )
    if (bundle.folder / CODES_FILE).is_file():
        return CodedPatches.load_coded(bundle.folder)
    return Tokenizer.load(bundle.tokenizer_path)


def _weights_of(part: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in part.state_dict().items()}


def model_folder(path: Path) -> Path:
    """The model folder that a path names: a run's ``model/``, or the folder itself."""
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    unfinished = (path / "settings.toml").is_file()
    remedy = (
        f"finish it first: headwater resume {path}" if unfinished else "name a run folder or a model folder"
    )
    raise MissingInputError(f"there is no model in {path}: no config.json in it or in its model/; {remedy}")


def base_of(start_from: str | None) -> Path | None:
    """The model folder of what a run begins from, or None for random weights."""
    return None if start_from is None else model_folder(Path(start_from))
