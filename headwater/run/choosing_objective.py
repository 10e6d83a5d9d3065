"""Which pretext tasks a pre-training run trains on, and what they ask of the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from headwater.data.files import Modality, sources_of
from headwater.data.sequencers.patches import Patches
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models import Model, TransformerSettings
from headwater.objectives import (
    Colorization,
    Denoising,
    GeometricTransform,
    MaskedAutoencoding,
    MaskedPatches,
    MaskedTokens,
    Mixed,
    NextSentence,
    NextToken,
    Objective,
    ReplacedToken,
    SelfDistillation,
    SentenceContrast,
    SentenceOrder,
    SpanCorruption,
)
from headwater.objectives.objective import Reads
from headwater.run.settings import ObjectiveSettings
from headwater.settings import unknown_choice


@dataclass(frozen=True, slots=True)
class Given:
    """What an objective may be made from."""

    sequencer: Tokenizer | Patches
    settings: ObjectiveSettings
    model: Model
    seed: int

    @property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary of a run on text."""
        assert isinstance(self.sequencer, Tokenizer), "a pretext task of text is given text"
        return self.sequencer

    @property
    def patches(self) -> Patches:
        """How pictures are cut in a run on pictures."""
        assert isinstance(self.sequencer, Patches), "a pretext task of pictures is given pictures"
        return self.sequencer

    @property
    def backbone(self) -> TransformerSettings:
        """The settings of a Transformer that reads pictures."""
        settings = getattr(self.model.backbone, "settings", None)
        assert isinstance(settings, TransformerSettings), "pictures are read by a Transformer"
        return settings

    def share(self, usual: float) -> float:
        """The share that the user chose, or the one that is usual for the objective."""
        return usual if self.settings.share is None else self.settings.share


class Choice(NamedTuple):
    """An objective by name."""

    kind: type[Objective]
    build: Callable[[Given], Objective]


PRETEXT_OBJECTIVES: Mapping[str, Choice] = {
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
    "masked_autoencoding": Choice(
        MaskedAutoencoding, lambda g: MaskedAutoencoding(g.backbone, share=g.share(0.75), seed=g.seed)
    ),
    "colorization": Choice(
        Colorization, lambda g: Colorization(g.patches, g.model.backbone.width, seed=g.seed)
    ),
    "geometric_transform": Choice(
        GeometricTransform, lambda g: GeometricTransform(g.patches, g.model.backbone, seed=g.seed)
    ),
    "masked_patch": Choice(
        MaskedPatches, lambda g: MaskedPatches(g.backbone, share=g.share(0.6), seed=g.seed)
    ),
}
USUAL: Mapping[Modality, str] = {"text": "masked_tokens", "image": "masked_autoencoding"}
"""The pretext task of a modality where the user names none."""


MODALITIES: Mapping[Modality, str] = {"text": "text", "image": "pictures"}
"""What a run learns from, in words."""
READS: Mapping[Reads, str] = {
    "both": "both sides",
    "past": "the past alone",
    "source": "a source while it writes",
    "any": "anything",
}
"""What a kind of model reads, in words."""


@dataclass(frozen=True, slots=True)
class Pretext:
    """The objectives of a run with their weights, and what they need together."""

    weights: Mapping[str, float]

    @classmethod
    def named(cls, name: str) -> "Pretext":
        """``masked_tokens``, or several with weights: ``masked_tokens=1,sentence_order=0.3``."""
        weights: dict[str, float] = {}
        for part in name.split(","):
            objective, equals, weight = (piece.strip() for piece in part.partition("="))
            if objective not in PRETEXT_OBJECTIVES:
                raise SettingsError(unknown_choice("objective.name", objective, list(PRETEXT_OBJECTIVES)))
            weights[objective] = _number(part, weight) if equals else 1.0
        found = cls(weights)
        found._check()
        return found

    @property
    def needs(self) -> Reads:
        """The kind of model that all of them can train."""
        needs: list[Reads] = [kind.needs for kind in self._kinds if kind.needs != "any"]
        return needs[0] if needs else "both"

    @property
    def modality(self) -> Modality:
        """What all of them read."""
        return self._kinds[0].modality

    def require(self, paths: Sequence[str]) -> str:
        """Refuse data that hold nothing of what these pretext tasks read; what is passed over, in words, or ""."""
        name, others = next(iter(self.weights)), dict(MODALITIES)
        del others[self.modality]
        (other,) = others
        passed_over = sources_of(paths, other)
        if passed_over and not sources_of(paths, self.modality):
            fitting = [task for task, choice in PRETEXT_OBJECTIVES.items() if choice.kind.modality == other]
            raise SettingsError(
                f"{name} reads {MODALITIES[self.modality]}, and {paths[0]} holds {MODALITIES[other]}; choose "
                f"--objective {' or '.join(fitting)}"
            )
        if not passed_over:
            return ""
        reads = MODALITIES[self.modality]
        return f"{len(passed_over):,} files of {MODALITIES[other]} are passed over: {name} reads {reads}"

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
    def couples_examples(self) -> bool:
        """True where a batch cannot be cut into parts: its examples are compared with each other."""
        return any(kind.couples_examples for kind in self._kinds)

    def build(self, given: Given) -> Objective:
        """The objective, mixed where there are several."""
        parts = {name: PRETEXT_OBJECTIVES[name].build(given) for name in self.weights}
        if len(parts) == 1:
            return next(iter(parts.values()))
        return Mixed(parts, self.weights)

    @property
    def _kinds(self) -> list[type[Objective]]:
        return [PRETEXT_OBJECTIVES[name].kind for name in self.weights]

    def _check(self) -> None:
        if len({kind.modality for kind in self._kinds}) > 1:
            read = ", ".join(
                f"{name} reads {MODALITIES[kind.modality]}"
                for name, kind in zip(self.weights, self._kinds, strict=True)
            )
            raise SettingsError(f"{read}; one run reads one kind of data: choose objectives of one kind")
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


def _number(part: str, weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        raise SettingsError(
            f"objective.name has the part '{part}'; expected a weight, as in masked_tokens=1,sentence_order=0.3"
        ) from None
