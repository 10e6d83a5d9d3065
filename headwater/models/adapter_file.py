"""The ``adapter/`` folder: low-rank corrections alone, in the format that peft reads.

adapter_config.json          what was corrected, and how strongly
adapter_model.safetensors    A and B of every correction and the task's head, under peft's names
"""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from headwater.errors import SettingsError, StorageError
from headwater.models.heads import HeadSettings
from headwater.models.layouts import Layout, layout_for, to_published
from headwater.models.layouts.names import Rename
from headwater.models.model import Model
from headwater.models.settings import BackboneSettings
from headwater.nn.adapters import LowRank, corrections

PREFIX = "base_model.model."
TASKS = {
    "classification": "SEQ_CLS",
    "regression": "SEQ_CLS",
    "tagging": "TOKEN_CLS",
    "question_answering": "QUESTION_ANS",
    "next_token": "CAUSAL_LM",
}


def published_rows(model: Model) -> dict[str, Sequence[int]]:
    """The matrices of a model's backbone that its published layout keeps as several, and the rows of each."""
    return {
        rename.ours.removeprefix("backbone."): rename.rows
        for rename in _published(model)[1]
        if rename.rows and rename.ours.startswith("backbone.")
    }


def save_adapter(folder: Path, model: Model, *, rank: int, alpha: float, base: str | None) -> None:
    """Write the corrections of an adapted model whose corrections are not merged yet; ``base`` is its parent's model.

    Source of the format: peft 0.21's ``save_pretrained``. Raises StorageError when the disk refuses.
    """
    head = _head(model)
    layout, names = _published(model)
    tensors = dict(_corrections(corrections(model.backbone), names))
    own = {rename.ours for rename in names if rename.ours.startswith("heads.")}
    heads = to_published(
        {name: tensor for name, tensor in model.state_dict().items() if name in own},
        [rename for rename in names if rename.ours in own],
    )
    modules = sorted({name.removeprefix(layout.body_prefix).split(".")[0] for name in heads})
    tensors |= {PREFIX + name: tensor for name, tensor in heads.items()}
    config = {
        "peft_type": "LORA",
        "task_type": TASKS.get(head.name if head is not None else ""),
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(rename.transposed for rename in names),
        "target_modules": sorted({_end(name) for name in tensors if ".lora_A." in name}),
        "modules_to_save": modules or None,
        "inference_mode": True,
    }
    _write(folder, config, tensors)


def _published(model: Model) -> tuple[Layout, list[Rename]]:
    settings = getattr(model.backbone, "settings", None)
    if not isinstance(settings, BackboneSettings):
        raise SettingsError(
            f"a {type(model.backbone).__name__} has no layout in which its adapter could be written"
        )
    layout = layout_for(settings, _head(model))
    return layout, layout.names(settings, _head(model))


def _head(model: Model) -> HeadSettings | None:
    return next(iter(model.head_settings.values()), None)


def _corrections(found: Mapping[str, LowRank], names: Sequence[Rename]) -> Iterator[tuple[str, Tensor]]:
    published = {rename.ours: rename.published for rename in names}
    for name, correction in found.items():
        theirs = published[f"backbone.{name}.weight"]
        for end, down, up in zip(theirs, correction.down, correction.up, strict=True):
            stem = PREFIX + end.removesuffix(".weight")
            yield f"{stem}.lora_A.weight", down.detach().contiguous()
            yield f"{stem}.lora_B.weight", up.detach().contiguous()


def _end(name: str) -> str:
    """The end of the name of a corrected map, which peft looks for.

    Two parts of it, where the first is no number: BERT's "dense" is the end of its pooler's name too.
    """
    *_, owner, last = name.split(".lora_A.")[0].split(".")
    return last if owner.isdigit() else f"{owner}.{last}"


def _write(folder: Path, config: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
    aside = folder.parent / f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir(parents=True)
        save_file(
            {name: tensor.cpu() for name, tensor in tensors.items()}, aside / "adapter_model.safetensors"
        )
        (aside / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    except OSError as problem:
        raise StorageError(
            f"could not write {folder}: {problem}; make room or give access there"
        ) from problem
    finally:
        shutil.rmtree(aside, ignore_errors=True)
