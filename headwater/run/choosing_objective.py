"""Which pretext tasks a pre-training run trains on, and what they ask of the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from headwater.data.files import sources_of
from headwater.data.kinds import MODALITIES, Learnt, Modality
from headwater.data.media_tables import TABLE_KINDS, media_of, modality_of
from headwater.data.sequencers import CodedPatches, Patches, Sequencing, Tokenizer, patches_in, vocabulary_in
from headwater.errors import SettingsError
from headwater.models import Model, TransformerSettings, TwoTowers
from headwater.objectives import (
    Colorization,
    CoupledObjective,
    Denoising,
    FrameOrder,
    FutureFrames,
    GeometricTransform,
    ImageGeneration,
    Jigsaw,
    MaskedAutoencoding,
    MaskedPatchClasses,
    MaskedPatches,
    MaskedSpectrogram,
    MaskedTokens,
    MaskedTubelets,
    Mixed,
    NextSentence,
    NextToken,
    Objective,
    PairContrast,
    PairMatch,
    PastFrames,
    PictureDistillation,
    ReplacedToken,
    SelfDistillation,
    SentenceContrast,
    SentenceOrder,
    SpanCorruption,
    SuperResolution,
    ViewContrast,
)
from headwater.objectives.objective import Reads
from headwater.run.settings import ObjectiveSettings
from headwater.settings import unknown_choice


@dataclass(frozen=True, slots=True)
class Given:
    """What an objective may be made from."""

    sequencer: Sequencing
    settings: ObjectiveSettings
    model: Model
    seed: int
    sample: Callable[[], Tensor]

    @property
    def width(self) -> int:
        """Numbers of a hidden state."""
        return self.model.backbone.width

    @property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary of a run on text."""
        return vocabulary_in(self.sequencer, "this run")

    @property
    def patches(self) -> Patches:
        """How pictures are cut in a run on pictures."""
        return patches_in(self.sequencer, "this run")

    @property
    def coded(self) -> CodedPatches:
        """How pictures become codes in a run that learns to draw them."""
        assert isinstance(self.sequencer, CodedPatches), (
            "the sequencer learns codes before the objective is built"
        )
        return self.sequencer

    @property
    def backbone(self) -> TransformerSettings:
        """The settings of a Transformer that reads pictures."""
        settings = getattr(self.model.backbone, "settings", None)
        assert isinstance(settings, TransformerSettings), "pictures are read by a Transformer"
        return settings

    @property
    def joint_width(self) -> int:
        """Numbers of the vectors of both sides of a pair."""
        assert isinstance(self.model.backbone, TwoTowers), "pairs are read by two towers"
        return self.model.backbone.settings.joint_width

    def share(self, usual: float) -> float:
        """The share that the user chose, or the one that is usual for the objective."""
        return usual if self.settings.share is None else self.settings.share


class Choice(NamedTuple):
    """An objective by name."""

    kind: type[Objective]
    build: Callable[[Given], Objective]


_OF_TEXT: Mapping[str, Choice] = {
    "masked_tokens": Choice(
        MaskedTokens, lambda g: MaskedTokens(g.tokenizer, share=g.share(0.3), kept=g.settings.kept)
    ),
    "next_token": Choice(NextToken, lambda g: NextToken(g.tokenizer)),
    "span_corruption": Choice(SpanCorruption, lambda g: SpanCorruption(g.tokenizer, share=g.share(0.15))),
    "denoising": Choice(Denoising, lambda g: Denoising(g.tokenizer, share=g.share(0.3))),
    "replaced_token": Choice(
        ReplacedToken,
        lambda g: ReplacedToken(g.tokenizer, g.model, share=g.share(0.3), seed=g.seed),
    ),
    "sentence_order": Choice(
        SentenceOrder, lambda g: SentenceOrder(g.tokenizer, g.model.backbone, seed=g.seed)
    ),
    "next_sentence": Choice(NextSentence, lambda g: NextSentence(g.tokenizer, g.model.backbone, seed=g.seed)),
    "sentence_contrast": Choice(
        SentenceContrast,
        lambda g: SentenceContrast(g.tokenizer, g.model.backbone.width, share=g.share(0.3), seed=g.seed),
    ),
    "self_distillation": Choice(
        SelfDistillation,
        lambda g: SelfDistillation(g.tokenizer, g.model.backbone, share=g.share(0.3), seed=g.seed),
    ),
}
_OF_PICTURES: Mapping[str, Choice] = {
    "masked_autoencoding": Choice(
        MaskedAutoencoding, lambda g: MaskedAutoencoding(g.backbone, share=g.share(0.75), seed=g.seed)
    ),
    "masked_patch": Choice(
        MaskedPatches, lambda g: MaskedPatches(g.backbone, share=g.share(0.6), seed=g.seed)
    ),
    "masked_patch_classes": Choice(
        MaskedPatchClasses,
        lambda g: MaskedPatchClasses(g.patches, g.width, g.sample(), share=g.share(0.6), seed=g.seed),
    ),
    "image_generation": Choice(ImageGeneration, lambda g: ImageGeneration(g.coded, g.sample())),
    "colorization": Choice(Colorization, lambda g: Colorization(g.patches, g.width, seed=g.seed)),
    "super_resolution": Choice(SuperResolution, lambda g: SuperResolution(g.patches, g.width, seed=g.seed)),
    "jigsaw": Choice(Jigsaw, lambda g: Jigsaw(g.patches, g.width, seed=g.seed)),
    "geometric_transform": Choice(
        GeometricTransform,
        lambda g: GeometricTransform(
            g.patches, g.model.backbone, transforms=g.settings.transforms, seed=g.seed
        ),
    ),
    "view_contrast": Choice(ViewContrast, lambda g: ViewContrast(g.patches, g.width, seed=g.seed)),
    "self_distillation": Choice(
        PictureDistillation,
        lambda g: PictureDistillation(g.patches, g.model.backbone, share=g.share(0.6), seed=g.seed),
    ),
}
_OF_RECORDINGS: Mapping[str, Choice] = {
    "masked_spectrogram": Choice(
        MaskedSpectrogram, lambda g: MaskedSpectrogram(g.backbone, share=g.share(0.75), seed=g.seed)
    ),
    "view_contrast": _OF_PICTURES["view_contrast"],
    "self_distillation": _OF_PICTURES["self_distillation"],
}
_OF_CLIPS: Mapping[str, Choice] = {
    "masked_tubelets": Choice(
        MaskedTubelets, lambda g: MaskedTubelets(g.backbone, share=g.share(0.75), seed=g.seed)
    ),
    "frame_order": Choice(FrameOrder, lambda g: FrameOrder(g.patches, g.width, seed=g.seed)),
    "future_frames": Choice(FutureFrames, lambda g: FutureFrames(g.backbone, seed=g.seed)),
    "past_frames": Choice(PastFrames, lambda g: PastFrames(g.backbone, seed=g.seed)),
    "view_contrast": _OF_PICTURES["view_contrast"],
    "self_distillation": _OF_PICTURES["self_distillation"],
}
_OF_PAIRS: Mapping[str, Choice] = {
    "pair_contrast": Choice(PairContrast, lambda _: PairContrast()),
    "pair_match": Choice(PairMatch, lambda g: PairMatch(g.joint_width, seed=g.seed)),
}
PRETEXT_OBJECTIVES: Mapping[Learnt, Mapping[str, Choice]] = {
    "text": _OF_TEXT,
    "image": _OF_PICTURES,
    "audio": _OF_RECORDINGS,
    "video": _OF_CLIPS,
    "pairs": _OF_PAIRS,
}
"""The pretext tasks of each modality; one of the same name asks the same of each."""
USUAL: Mapping[Modality, str] = {
    "text": "masked_tokens",
    "image": "masked_autoencoding",
    "audio": "masked_spectrogram",
    "video": "masked_tubelets",
}
"""The pretext task of a modality where the user names none."""


LEARNT: Mapping[Learnt, str] = {**MODALITIES, "pairs": "pairs"}
"""What a run learns from, in words."""
READS: Mapping[Reads, str] = {
    "both": "both sides",
    "past": "the past alone",
    "source": "a source while it writes",
    "sides": "both sides of a pair",
    "any": "anything",
}
"""What a kind of model reads, in words."""


@dataclass(frozen=True, slots=True)
class Pretext:
    """The objectives of a run with their weights, what they read, and what they need together."""

    weights: Mapping[str, float]
    modality: Learnt

    @classmethod
    def named(cls, name: str, paths: Sequence[str] = ()) -> "Pretext":
        """``masked_tokens``, or several with weights: ``masked_tokens=1,sentence_order=0.3``.

        Names that more than one modality knows mean that of the data behind ``paths``.
        """
        weights: dict[str, float] = {}
        every = [objective for known in PRETEXT_OBJECTIVES.values() for objective in known]
        for part in name.split(","):
            objective, equals, weight = (piece.strip() for piece in part.partition("="))
            if objective not in every:
                raise SettingsError(unknown_choice("objective.name", objective, list(dict.fromkeys(every))))
            weights[objective] = _number(part, weight) if equals else 1.0
        found = cls(weights, _modality(list(weights), paths))
        found._check()
        return found

    @property
    def needs(self) -> Reads:
        """The kind of model that all of them can train."""
        needs: list[Reads] = [kind.needs for kind in self._kinds if kind.needs != "any"]
        return needs[0] if needs else "both"

    def require(self, paths: Sequence[str]) -> str:
        """Refuse data that hold nothing of what these pretext tasks read; what is passed over, in words, or ""."""
        if self.modality == "pairs":  # whoever looks for pairs says what is missing
            return ""
        name, reads = next(iter(self.weights)), MODALITIES[self.modality]
        others: list[Modality] = [other for other in MODALITIES if other != self.modality]
        found = {other: sources_of(paths, other) for other in others}
        other = max(others, key=lambda modality: len(found[modality]))
        if found[other] and not media_of(paths, self.modality):
            raise SettingsError(
                f"{name} reads {reads}, and {paths[0]} holds {MODALITIES[other]}; choose --objective "
                f"{' or '.join(PRETEXT_OBJECTIVES[other])}"
            )
        told = () if self.modality == "text" else TABLE_KINDS  # tables beside media speak of them
        passed_over = sum(source.kind not in told for source in found[other])
        return f"{passed_over:,} files of {MODALITIES[other]} are passed over: {name} reads {reads}" * bool(
            passed_over
        )

    @property
    def head(self) -> str | None:
        """The head that is trained and shipped, if there is one."""
        return next((kind.head for kind in self._kinds if kind.head is not None), None)

    @property
    def own_head(self) -> str | None:
        """The head that is trained and thrown away, unless the layout of the model has a place for it."""
        return next((kind.own_head for kind in self._kinds if kind.own_head is not None), None)

    @property
    def wants_dropout(self) -> bool:
        """True where two passes over a text have to differ."""
        return "sentence_contrast" in self.weights

    @property
    def wants_whole_batches(self) -> bool:
        """True where examples are compared beside another pretext task: then a batch cannot be cut into parts."""
        return len(self._kinds) > 1 and any(issubclass(kind, CoupledObjective) for kind in self._kinds)

    def build(self, given: Given) -> Objective:
        """The objective, mixed where there are several."""
        parts = {name: PRETEXT_OBJECTIVES[self.modality][name].build(given) for name in self.weights}
        if len(parts) == 1:
            return next(iter(parts.values()))
        return Mixed(parts, self.weights)

    @property
    def _kinds(self) -> list[type[Objective]]:
        return [PRETEXT_OBJECTIVES[self.modality][name].kind for name in self.weights]

    def _check(self) -> None:
        needs: dict[Reads, str] = {
            kind.needs: name for name, kind in zip(self.weights, self._kinds, strict=True)
        }
        needs.pop("any", None)
        if len(needs) > 1:
            first, second = list(needs.items())[:2]
            raise SettingsError(
                f"{first[1]} needs a model that reads {READS[first[0]]} and {second[1]} one that reads "
                f"{READS[second[0]]}; one model cannot be both: choose objectives of one kind"
            )


def _modality(names: Sequence[str], paths: Sequence[str]) -> Learnt:
    """What all of these tasks read."""
    common: list[Learnt] = [
        modality for modality, known in PRETEXT_OBJECTIVES.items() if set(names) <= set(known)
    ]
    if not common:
        read = ", ".join(
            f"{name} reads "
            + " or ".join(LEARNT[modality] for modality, known in PRETEXT_OBJECTIVES.items() if name in known)
            for name in names
        )
        raise SettingsError(f"{read}; one run reads one kind of data: choose objectives of one kind")
    if len(common) > 1 and paths and (found := modality_of(paths)) in common:
        return found
    return common[0]


def _number(part: str, weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        raise SettingsError(
            f"objective.name has the part '{part}'; expected a weight, as in masked_tokens=1,sentence_order=0.3"
        ) from None
