"""What ``gain --set`` may say: what a cell hears, and nothing that it would pass over."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.errors import SettingsError
from headwater.models.regularization import SHARES
from headwater.run.settings import RunSettings
from headwater.settings import assignments, merged

HEARD = (
    *(f"model.{share}" for share in SHARES),
    *("objective.label_smoothing",),
    *(f"machine.{name}" for name in ("device", "threads", "precision", "prefetch")),
    *(
        f"training.{name}"
        for name in (
            *("steps", "length", "batch_rows", "micro_batches", "optimizer", "layer_decay", "weight_decay"),
            *("schedule", "warmup_steps", "decay_steps", "clip", "moved", "mirrored", "varied"),
        )
    ),
)
"""The settings of every arm's fine-tuning; which rate it takes, what it learns from and how often is gain's to say."""
BASE = {"kind": "finetune", "data": {"paths": ["gain"]}, "training": {"schedule": "linear"}}


def cell_settings(assign: Sequence[str]) -> RunSettings:
    """The settings that all cells begin with; SettingsError for one that none of them would hear."""
    asked = assignments(list(assign))
    # What there is not, and wrong values, are said first.
    settings = RunSettings.from_mapping(merged(BASE, asked))
    if strange := [name for name in _names(asked) if name not in HEARD]:
        raise SettingsError(
            f"{strange[0]} is not a setting of gain, which trains every arm alike; leave it out, or choose among "
            f"{', '.join(HEARD)}"
        )
    return settings


def _names(values: Mapping[str, Any], front: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{front}{name}.")
        else:
            yield front + name
