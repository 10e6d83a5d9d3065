"""The ``adapter/`` folder: low-rank corrections alone, in the format that peft reads.

adapter_config.json          what was corrected, and how strongly
adapter_model.safetensors    A and B of every correction, and of the task's head what learnt, under peft's names
head.safetensors             the head, where the layout of the model below has none for the task
README.md                    how the adapter is loaded
"""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from headwater.errors import SettingsError, StorageError
from headwater.models.heads import HeadSettings
from headwater.models.layouts import PUBLISHED, Layout, layout_for, layout_named, to_published
from headwater.models.layouts.names import Rename
from headwater.models.model import Model
from headwater.models.settings import BackboneSettings, EncoderDecoderSettings
from headwater.models.weights import read_json
from headwater.nn.adapters import LowRank, corrections

PREFIX = "base_model.model."
HEAD = "head.safetensors"
TASKS = {
    "classification": "SEQ_CLS",
    "regression": "SEQ_CLS",
    "tagging": "TOKEN_CLS",
    "question_answering": "QUESTION_ANS",
    "next_token": "CAUSAL_LM",
}
TWICE = ("default", "first_and_mean")
"""Poolings of pictures that are twice as wide as the body."""


class Home(NamedTuple):
    """Where an adapter is at home: a layout, and the head that this layout has for the task, or None."""

    layout: Layout
    settings: BackboneSettings
    head: HeadSettings | None

    @classmethod
    def of(cls, model: Model, base: Path | None) -> "Home":
        """The layout of the folder ``base``, so that the adapter loads onto it; the model's own where there is none.

        A layout that has no such head takes the adapter on its body alone.
        """
        settings, head = getattr(model.backbone, "settings", None), _head(model)
        if not isinstance(settings, BackboneSettings):
            raise SettingsError(
                f"a {type(model.backbone).__name__} has no layout in which its adapter could be written"
            )
        own = layout_for(settings, head)
        below = own if base is None else layout_named(read_json(base / "config.json").get("model_type"))
        choices = ((layout, known) for layout in (below, own) for known in (head, None))
        layout, known = next(choice for choice in choices if choice[0].refusal(settings, choice[1]) is None)
        return cls(layout, settings, known)

    @property
    def names(self) -> list[Rename]:
        """Our tensor names and the layout's."""
        return self.layout.names(self.settings, self.head)

    @property
    def task(self) -> str | None:
        """What peft calls the task; None of pictures, for which it has no word."""
        if getattr(self.settings, "patches", None) is not None:
            return None
        if self.head is None:
            return "FEATURE_EXTRACTION"
        if self.head.name == "next_token" and isinstance(self.settings, EncoderDecoderSettings):
            return "SEQ_2_SEQ_LM"
        return TASKS.get(self.head.name)

    def module(self, published: str) -> str:
        """The tensor of a file as the class of transformers calls it that loads this layout with this head."""
        name = published if self.head is not None else published.removeprefix(self.layout.body_prefix)
        return self.layout.in_memory(name)

    @property
    def loader(self) -> str | None:
        """The class of transformers, or None where it has none."""
        if self.layout.model_type not in PUBLISHED:
            return None
        return "AutoModel" if self.head is None else self.layout.architectures[self.head.name]


def published_rows(model: Model, base: Path | None = None) -> dict[str, Sequence[int]]:
    """The matrices of a model's backbone that the layout of its adapter keeps as several, and the rows of each."""
    return {
        rename.ours.removeprefix("backbone."): rename.rows
        for rename in Home.of(model, base).names
        if rename.rows and rename.ours.startswith("backbone.")
    }


def save_adapter(folder: Path, model: Model, *, rank: int, alpha: float, base: Path | None) -> None:
    """Write the corrections of an adapted model whose corrections are not merged yet; ``base`` is its parent's model.

    Source of the format: peft 0.21's ``save_pretrained``. Raises StorageError when the disk refuses.
    """
    home, learnt = Home.of(model, base), _learnt(model)
    tensors = dict(_corrections(corrections(model.backbone), home))
    heads = _published_heads(learnt, home) if home.head is not None else {}
    modules = sorted({name.removeprefix(home.layout.body_prefix).split(".")[0] for name in heads})
    tensors |= {PREFIX + name: tensor for name, tensor in heads.items()}
    config = {
        "peft_type": "LORA",
        "task_type": home.task,
        "base_model_name_or_path": None if base is None else str(base),
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(rename.transposed for rename in home.names),
        "target_modules": sorted({_end(name) for name in tensors if ".lora_A." in name}),
        "modules_to_save": modules or None,
        "inference_mode": True,
    }
    beside = {name.split(".", 2)[2]: tensor for name, tensor in learnt.items()} if home.head is None else {}
    _write(folder, config, tensors, beside, _card(home, _head(model), base))


def _head(model: Model) -> HeadSettings | None:
    return next(iter(model.head_settings.values()), None)


def _learnt(model: Model) -> dict[str, Tensor]:
    """What learnt of the head."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if name.startswith("heads.") and parameter.requires_grad
    }


def _published_heads(learnt: Mapping[str, Tensor], home: Home) -> dict[str, Tensor]:
    return to_published(learnt, [rename for rename in home.names if rename.ours in learnt])


def _corrections(found: Mapping[str, LowRank], home: Home) -> Iterator[tuple[str, Tensor]]:
    published = {rename.ours: rename.published for rename in home.names}
    for name, correction in found.items():
        theirs = published[f"backbone.{name}.weight"]
        for end, down, up in zip(theirs, correction.down, correction.up, strict=True):
            stem = PREFIX + home.module(end).removesuffix(".weight")
            yield f"{stem}.lora_A.weight", down.detach().contiguous()
            yield f"{stem}.lora_B.weight", up.detach().contiguous()


def _end(name: str) -> str:
    """The end of the name of a corrected map, which peft looks for.

    Two parts of it, where the first is no number: BERT's "dense" is the end of its pooler's name too.
    """
    *_, owner, last = name.split(".lora_A.")[0].split(".")
    return last if owner.isdigit() else f"{owner}.{last}"


def _card(home: Home, head: HeadSettings | None, base: Path | None) -> str:
    """How the adapter is loaded, in Markdown."""
    merged = "The run's `model/` holds the whole model with the corrections in its matrices."
    if home.loader is None:
        return f"# Low-rank corrections\n\nNo class of transformers loads this model, so peft cannot either. {merged}\n"
    if base is None:
        return f"# Low-rank corrections\n\nThe random weights below them were not kept. {merged}\n"
    classes = home.head.classes if home.head is not None else None
    labels = "" if classes is None else f", num_labels={classes}, ignore_mismatched_sizes=True"
    lines = [
        f"# Low-rank corrections of {base}",
        "",
        "With peft and transformers 5:",
        "",
        f'    base = transformers.{home.loader}.from_pretrained("{base}"{labels})',
        '    model = peft.PeftModel.from_pretrained(base, "adapter")',
        "",
    ]
    if head is not None and home.head is None:
        pictures = getattr(home.settings, "patches", None) is not None
        reads = "[CLS] and the mean of all patches" if pictures and head.pooling in TWICE else head.pooling
        lines += [
            f"They load onto the body alone: `{HEAD}` holds the head for {head.name}, ours, which this layout does "
            f"not have. It reads {reads}.",
            "",
        ]
    return "\n".join([*lines, merged, ""])


def _write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    beside: Mapping[str, Tensor],
    card: str,
) -> None:
    aside = folder.parent / f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir(parents=True)
        for name, kept in (("adapter_model.safetensors", tensors), (HEAD, beside)):
            if kept:
                save_file({key: tensor.cpu() for key, tensor in kept.items()}, aside / name)
        (aside / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (aside / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    except OSError as problem:
        raise StorageError(
            f"could not write {folder}: {problem}; make room or give access there"
        ) from problem
    finally:
        shutil.rmtree(aside, ignore_errors=True)
