"""What leaves a run: the model folder and the card that says what it is and where it comes from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.data.sequencers import (
    CodedPatches,
    Patches,
    Sequencing,
    Sides,
    Tokenizer,
    patches_in,
    sides_in,
    vocabulary_in,
)
from headwater.evaluation.forgetting import Forgetting
from headwater.evaluation.stopping import Advice
from headwater.models import Model, load_bundle, save_bundle
from headwater.models.adapter_file import save_adapter
from headwater.nn.adapters import merge
from headwater.run.folder import RunFolder
from headwater.run.journey import Journey
from headwater.run.labelled import LabelledData
from headwater.run.settings import RunSettings
from headwater.run.starting import StartingPoint, base_of, model_folder, sequencer_of
from headwater.training.precision import peak_memory
from headwater.version import VERSION

_WORDS: Mapping[type, str] = {Tokenizer: "tokens", Patches: "patches", CodedPatches: "codes", Sides: "sides"}


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that this one goes on from."""

    path: Path
    sequencer: Sequencing
    card: Mapping[str, Any]

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary; SettingsError where it reads pictures."""
        return vocabulary_in(self.sequencer, self.path)

    @property
    def patches(self) -> Patches:
        """How it cuts pictures; SettingsError where it reads text."""
        return patches_in(self.sequencer, self.path)

    @property
    def sides(self) -> Sides:
        """How it reads both sides of a pair; SettingsError where it reads one kind of data."""
        return sides_in(self.sequencer, self.path)

    @classmethod
    def of(cls, path: str | None) -> "Parent | None":
        """The parent named in the settings, if there is one."""
        if path is None:
            return None
        bundle = load_bundle(model_folder(Path(path)))
        return cls(Path(path), sequencer_of(bundle), bundle.card)


def ship_pretrained(
    folder: RunFolder,
    model: Model,
    sequencer: Sequencing,
    settings: RunSettings,
    journey: Journey,
    *,
    flops: float,
    advice: Advice,
    forgetting: Forgetting | None,
) -> None:
    """Write the model folder of a pre-training run; ``flops`` are those of all its steps."""
    card = {
        **_card(settings, journey, sequencer, flops=flops),
        "task": settings.objective.name,
        "size": settings.model.size,
        "advice": advice.to_dict(),
        "forgetting": forgetting and forgetting.to_dict(),
    }
    save_bundle(folder.model, model, sequencer, card)


def ship_finetuned(
    folder: RunFolder,
    model: Model,
    start: StartingPoint,
    settings: RunSettings,
    journey: Journey,
    data: LabelledData,
    test: Mapping[str, Any] | None = None,
) -> None:
    """Write the model folder of a fine-tuning run; ``test`` is what was found of rows that the task held out."""
    card = {
        **_card(settings, journey, start.shipped),
        "task": settings.task,
        "size": start.size,
        "text": list(data.train.text_columns),
        "label": data.train.label_column,
        "labels_in": data.train.facts.get("labels_in"),
        **_columns_of(data),
        **data.task.card,
        **({} if test is None else {"test": test}),
    }
    if settings.training.adapt == "lora":
        base, adapter = base_of(settings.start_from), settings.adapter
        save_adapter(folder.path / "adapter", model, rank=adapter.rank, alpha=adapter.alpha, base=base)
        merge(model.backbone)
    save_bundle(folder.model, model, start.shipped, card)


def _columns_of(data: LabelledData) -> dict[str, Any]:
    """Of rows that are pairs, where both sides stand."""
    columns = data.train.facts.get("cut", {}).get("columns")
    return {} if columns is None else {"side_columns": columns}


def _card(settings: RunSettings, journey: Journey, sequencer: Sequencing, **cost: float) -> dict[str, Any]:
    return {
        "headwater": VERSION,
        "kind": settings.kind,
        "sequencer": _WORDS[type(sequencer)],
        "length": settings.training.length,
        "parent": _parent(settings.start_from),
        "trained": {
            "steps": journey.step,
            "shipped_step": journey.shipped_step,
            "tokens": journey.tokens,
            "seconds": round(journey.seconds, 1),
            "peak_memory": peak_memory(settings.machine.device or "cpu"),
            **cost,
        },
        "evaluation": journey.shipped_evaluation,
    }


def _parent(path: str | None) -> dict[str, str] | None:
    """The parent's path and the digest of its weights, so that the family tree can be proved."""
    if path is None:
        return None
    weights = model_folder(Path(path)) / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else ""
    return {"run": path, "sha256": digest}
