"""What a caller chose, what a file says and what is usual, put together into the settings of a run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.data.encodings import named_encoding
from headwater.data.media_tables import modality_of
from headwater.errors import SettingsError, UsageError
from headwater.models.regularization import SHARES
from headwater.models.weights import read_json
from headwater.run.choosing_objective import PRETEXT_OBJECTIVES, USUAL
from headwater.run.settings import STACKED, ModelSettings, RunSettings
from headwater.run.starting import model_folder
from headwater.run.tasks import task_kind
from headwater.settings import assignments, merged, read_toml

USUAL_TASK = "classification"
Paths = str | Path | Sequence[str | Path]


def paths_of(paths: Paths) -> tuple[str, ...]:
    """One path or several as texts."""
    return (str(paths),) if isinstance(paths, str | Path) else tuple(map(str, paths))


_TABLES = {
    "paths": "data",
    "pair": "data",
    "weights": "data",
    "template": "data",
    "names": "data",
    "text": "data",
    "encoding": "data",
    "label": "data",
    "hold_out": "data",
    "validation": "data",
    "probe": "data",
    "size": "model",
    "objective": "objective",
    "steps": "training",
    "minutes": "training",
    "seed": "training",
    "adapt": "training",
    "stop_when_flat": "training",
    "start_from": None,
    "task": None,
}
"""Which table of the settings each option belongs to."""


def choices_of(choices: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Options as tables of settings; what was not given is left out."""
    tables: dict[str, Any] = {}
    for name, value in {**choices, **more}.items():
        if name not in _TABLES:
            raise UsageError(
                f"unknown option '{name}'; known: {', '.join(_TABLES)}, and any setting through assign"
            )
        if value is None:
            continue
        table = _TABLES[name]
        key = "name" if name == "objective" else name
        (tables if table is None else tables.setdefault(table, {}))[key] = _plain(value, name)
    return tables


def _plain(value: Any, name: str) -> Any:
    """Paths as texts, and one path or column where several are possible as a list of one."""
    if name == "weights":
        return [float(weight) for weight in value]
    if name in ("text", "hold_out", "paths", "pair", "names"):
        return list(paths_of(value))
    return str(value) if isinstance(value, Path) else value


def settings_of(
    kind: str,
    base: str | Path | None,
    choices: Mapping[str, Any],
    assign: Iterable[str],
) -> RunSettings:
    """What was assigned, over what was chosen, over what a file says, over what is usual of the task."""
    values: Mapping[str, Any] = read_toml(Path(base)) if base is not None else {}
    values = merged(merged(values, choices), assignments(list(assign)))
    if values.setdefault("kind", kind) != kind:
        raise SettingsError(
            f"{base or '--set'} is of a run of kind '{values['kind']}'; use: headwater {values['kind']}"
        )
    if not values.get("data", {}).get("paths"):
        raise UsageError(
            "no data were named; expected files or folders: headwater pretrain notes/ --out runs/notes"
        )
    if named := named_encoding():
        values = merged({"data": {"encoding": named.codec}}, values)
    if kind == "pretrain" and values.get("start_from"):
        values = _inherited(values, str(values["start_from"]))
    if kind == "finetune":
        if values.get("start_from"):
            values = merged(_size_of(str(values["start_from"]), values), values)
        task = values.setdefault("task", USUAL_TASK)
        values = merged({"model": {"size": task_kind(task).habits.size}}, values)
    if kind == "pretrain" and not values.get("objective", {}).get("name"):
        paths = values["data"]["paths"]
        values = merged(values, {"objective": {"name": USUAL[modality_of(paths)]}})
    return RunSettings.from_mapping(values)


def _inherited(values: Mapping[str, Any], parent: str) -> dict[str, Any]:
    """The settings of a run that goes on from another: as large as that, with its pretext task where none is named."""
    if values.get("model", {}).get("layout") is not None:
        return dict(values)  # refused by the settings themselves
    inherited, card = _size_of(parent, values), _card_of(parent)
    named = values.get("objective", {}).get("name")
    if not named and card.get("kind") == "pretrain" and _fits(str(card["task"]), values["data"]["paths"]):
        inherited["objective"] = {"name": card["task"]}
    return merged(inherited, values)


def _card_of(parent: str) -> Mapping[str, Any]:
    path = model_folder(Path(parent)) / "headwater.json"
    return read_json(path) if path.is_file() else {}  # a model from elsewhere has no card


def _size_of(parent: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The size of the run that is begun from, as settings; UsageError where another one is asked for."""
    size, chosen = _card_of(parent).get("size"), values.get("model", {}).get("size")
    if None not in (size, chosen) and size != chosen:
        raise UsageError(
            f"--size {chosen} does not fit: {parent} is {size}, and brings its size; leave it out"
        )
    return {} if size is None else {"model": {"size": size}}


def refuse_other_shapes(settings: RunSettings) -> None:
    """SettingsError for what a run that is begun from brings: it would be passed over."""
    if settings.start_from is None:
        return
    usual = ModelSettings()
    asked = [name for name in _SHAPE if getattr(settings.model, name) != getattr(usual, name)]
    if asked:
        raise SettingsError(
            f"model.{asked[0]} does not fit: {settings.start_from} brings its model; leave it out, or begin with "
            "random weights"
        )


_SHAPE = (
    *(name for name in STACKED if name not in SHARES),
    *("width", "depth", "num_heads", "feed_forward_width", "cell", "attention"),
    *("backbone", "vocabulary_size", "token_vectors"),
)


def _fits(objective: str, paths: Sequence[str]) -> bool:
    """Whether a pretext task, or a mixture of several, reads such data."""
    names = {part.partition("=")[0].strip() for part in objective.split(",")}
    return any(names <= PRETEXT_OBJECTIVES[kind].keys() for kind in (modality_of(paths), "pairs"))
