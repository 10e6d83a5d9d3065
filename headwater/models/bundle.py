"""The ``model/`` folder: what is shipped, written and read here only.

config.json           the layout's own, for transformers and its kin
model.safetensors     weights under the layout's published names, tied ones once
tokenizer.json, tokenizer_config.json; of pictures preprocessor_config.json
headwater.json        task, labels, sequencer, pooling, parent, and our own settings
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from headwater.data.sequencers.patches import Patches
from headwater.data.sequencers.sides import Sides
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError, SettingsError, StorageError
from headwater.models.building import build_backbone
from headwater.models.heads import HeadSettings
from headwater.models.layouts import (
    Layout,
    SpecialTokens,
    from_published,
    layout_for,
    layout_named,
    to_published,
)
from headwater.models.layouts.names import Rename
from headwater.models.model import Model
from headwater.models.regularization import with_shares
from headwater.models.settings import BackboneSettings
from headwater.models.weights import WEIGHTS, read_json, read_shapes, read_weights, write_weights
from headwater.settings import from_mapping

Value = TypeVar("Value")
CARD = "headwater.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """A shipped model as it was found. ``card`` is empty for folders that other programs wrote."""

    model: Model
    settings: BackboneSettings
    folder: Path
    card: dict[str, Any]

    @property
    def tokenizer_path(self) -> Path:
        """Where the vocabulary is."""
        return self.folder / "tokenizer.json"


def save_bundle(
    folder: Path, model: Model, sequencer: Tokenizer | Patches | Sides, card: Mapping[str, Any]
) -> None:
    """Write the model folder aside, and put it in place of ``folder`` once all of it is on the disk.

    ``sequencer`` is how the model's examples became sequences. The layout is the first published one that can say the
    model, else the native one. A model has one head or none. Raises SettingsError for several heads or a vocabulary
    that does not fit, StorageError when the disk refuses.
    """
    settings, head = _described(model)
    vocabulary = _vocabulary(sequencer)
    known = (
        settings.vocabulary_size or (head and head.classes) or 0
    )  # of recordings, a head alone knows words
    if vocabulary is not None and vocabulary.size > known:
        raise SettingsError(
            f"the tokenizer has {vocabulary.size} tokens, the model embeds {known}; ship the tokenizer that the model "
            "was trained with"
        )
    layout = layout_for(settings, head)
    aside = folder.parent / f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir(parents=True)
        names, extras = layout.names(settings, head), layout.extras(settings, head)
        tensors = to_published(model.state_dict(), names, extras)
        write_weights(aside / WEIGHTS, _without_prefix(tensors, layout, head))
        _write_json(aside / "config.json", _config(layout, settings, head, sequencer, card))
        _write_sequencer(aside, sequencer, _max_length(settings, card))
        _write_json(
            aside / CARD, _card(layout, settings, head, {**card, "weights": _digest(aside / WEIGHTS)})
        )
        _sync(aside)
        _put_in_place(aside, folder)
    except OSError as problem:
        raise StorageError(
            f"could not write {folder}: {problem}; what stood there before is intact"
        ) from problem
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_bundle(folder: Path | str, shares: Mapping[str, float] | None = None) -> Bundle:
    """Read a model folder, ours or one written by transformers' ``save_pretrained`` of a known family.

    ``shares`` are left out in training in place of its own (``with_shares``). Every tensor is accounted for before
    any is loaded: a missing, unexpected or misshapen one is a BadDataError.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    layout = layout_named(config.get("model_type"))
    settings, head = _understood(layout, config, folder)
    card = read_json(folder / CARD) if (folder / CARD).is_file() else {}
    shapes = read_shapes(folder)
    head = layout.head_in_file(head, config, shapes)
    settings, head = _own_words(card, layout, settings, head)
    settings = with_shares(settings, shares or {})
    names = layout.names(settings, head)
    extras = layout.extras(settings, head)
    with torch.device("meta"):  # of these, only names and shapes are wanted
        built = _built(settings, head).state_dict()
    shapes = _prefixed(shapes, layout, names)
    shapes = {name: shape for name, shape in shapes.items() if not layout.passes_over(name, extras)}
    # Tied weights are written once; a writer that repeats them must repeat the same numbers.
    repeated = layout.repeated(head, shapes)
    expected = to_published(built, names, [extra for extra in extras if extra.joins])
    _account(folder, {name: tuple(tensor.shape) for name, tensor in expected.items()}, shapes, repeated)
    _refuse_changed(folder, card)
    tensors = _prefixed(read_weights(folder), layout, names)
    for name, original in repeated.items():
        if not torch.equal(tensors[name], tensors[original]):
            raise BadDataError(f"{folder}: {name} differs from {original}, though config.json ties them")
    model = _built(settings, head)
    model.load_state_dict(from_published(tensors, names, extras))
    return Bundle(model, settings, folder, {**card})


def _refuse_changed(folder: Path, card: Mapping[str, Any]) -> None:
    """A bit that flipped on a disk gives a model that answers, and answers wrongly."""
    if "weights" in card and card["weights"] != _digest(folder / WEIGHTS):
        raise BadDataError(
            f"{folder / WEIGHTS} is not what was shipped: its sha256 differs from 'weights' in {CARD}; fetch or make "
            f"it again, or take 'weights' out of {CARD} if the change was yours"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _described(model: Model) -> tuple[BackboneSettings, HeadSettings | None]:
    settings = getattr(model.backbone, "settings", None)
    if not isinstance(settings, BackboneSettings):
        raise SettingsError(
            f"a {type(model.backbone).__name__} cannot be shipped yet: it has no single settings"
        )
    if len(model.heads) > 1:
        raise SettingsError(
            f"a model folder holds one head, this model has {', '.join(model.heads)}; delete all but one"
        )
    return settings, next(iter(model.head_settings.values()), None)


def _config(
    layout: Layout,
    settings: BackboneSettings,
    head: HeadSettings | None,
    sequencer: Tokenizer | Patches | Sides,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    words = _vocabulary(sequencer)
    special = (
        SpecialTokens()
        if words is None
        else SpecialTokens(pad=words.pad, cls=words.cls, sep=words.sep, mask=words.mask)
    )
    architecture = layout.architectures.get(head.name if head is not None else "")
    config = {
        "architectures": [architecture] if architecture else [],
        "model_type": layout.model_type,
        "dtype": "float32",
        "torch_dtype": "float32",  # the name before transformers 4.56
        **layout.to_config(settings, head, special),
    }
    if head is not None and (head.classes is not None or head.name == "regression"):
        classes = head.classes or 1
        labels = list(card.get("labels") or [f"LABEL_{number}" for number in range(classes)])
        if len(labels) != classes:
            raise SettingsError(f"the card names {len(labels)} labels, the head has {classes} classes")
        config["id2label"] = {str(number): label for number, label in enumerate(labels)}
        config["label2id"] = {label: number for number, label in enumerate(labels)}
    if head is not None and head.name == "regression":
        config["problem_type"] = "regression"
    return config


def _card(
    layout: Layout, settings: BackboneSettings, head: HeadSettings | None, card: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **card,
        "format": FORMAT,
        "layout": layout.model_type,
        "backbone": settings.to_dict(),
        "head": None if head is None else asdict(head),
    }


def _understood(
    layout: Layout, config: Mapping[str, Any], folder: Path
) -> tuple[BackboneSettings, HeadSettings | None]:
    try:
        return layout.from_config(config), layout.head_of(config)
    except SettingsError as problem:
        raise BadDataError(
            f"{folder / 'config.json'} describes no model that can be built: {problem}; fetch or make it again"
        ) from problem
    except (TypeError, ValueError, AttributeError, KeyError) as problem:
        raise BadDataError(
            f"{folder / 'config.json'} holds a value of the wrong kind: {problem}"
        ) from problem


def _own_words(
    card: Mapping[str, Any], layout: Layout, settings: BackboneSettings, head: HeadSettings | None
) -> tuple[BackboneSettings, HeadSettings | None]:
    """Our own settings where the card has them: config.json has no words for some dropouts."""
    if "backbone" not in card:
        return settings, head
    if card.get("format") != FORMAT:
        raise BadDataError(
            f"{CARD} is of format {card.get('format')}; this program reads format {FORMAT}: update it"
        )
    own = type(settings).from_dict(card["backbone"])
    own_head = None if card.get("head") is None else from_mapping(HeadSettings, card["head"])
    nobody = SpecialTokens()
    if _bare(layout.to_config(own, own_head, nobody)) != _bare(layout.to_config(settings, head, nobody)):
        raise BadDataError(
            f"config.json and {CARD} describe different models; one of them was changed by hand: fetch or make "
            "them again"
        )
    return own, own_head


def _bare(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if "dropout" not in name}


def _built(settings: BackboneSettings, head: HeadSettings | None) -> Model:
    model = Model(build_backbone(settings))
    if head is not None:
        model.add_head(**asdict(head))
    return model


def _account(
    folder: Path,
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    repeated: Mapping[str, str],
) -> None:
    complaints = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected) - set(repeated)),
        "misshapen": [
            f"{name} {found[name]} instead of {shape}"
            for name, shape in sorted(expected.items())
            if name in found and found[name] != shape
        ],
    }
    if any(complaints.values()):
        said = "; ".join(f"{kind}: {_first(names)}" for kind, names in complaints.items() if names)
        raise BadDataError(f"the tensors of {folder} are not those that its config.json describes: {said}")


def _first(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _without_prefix(
    tensors: dict[str, Tensor], layout: Layout, head: HeadSettings | None
) -> dict[str, Tensor]:
    """Published classes without a head leave out the prefix of their backbone."""
    return (
        {name.removeprefix(layout.body_prefix): tensor for name, tensor in tensors.items()}
        if head is None
        else tensors
    )


def _prefixed(found: dict[str, Value], layout: Layout, names: Sequence[Rename]) -> dict[str, Value]:
    """The tensors of a file under the names of a whole model; a body alone, or an old file, says no prefix."""
    if any(name in found for rename in names for name in rename.published):
        return found
    return {layout.body_prefix + name: value for name, value in found.items()}


def _vocabulary(sequencer: Tokenizer | Patches | Sides) -> Tokenizer | None:
    if isinstance(sequencer, Sides):
        return sequencer.text
    return sequencer if isinstance(sequencer, Tokenizer) else None


def _write_sequencer(folder: Path, sequencer: Tokenizer | Patches | Sides, longest: int) -> None:
    if not isinstance(sequencer, Tokenizer):
        sequencer.save(folder)
    if (vocabulary := _vocabulary(sequencer)) is None:
        return
    vocabulary.save(folder / "tokenizer.json")
    extras = vocabulary.settings_for_transformers() | {"model_max_length": longest}
    _write_json(folder / "tokenizer_config.json", extras)


def _max_length(settings: BackboneSettings, card: Mapping[str, Any]) -> int:
    return int(getattr(settings, "max_length", 0) or card.get("length") or 512)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sync(folder: Path) -> None:
    """Wait until every file of the folder, and the folder's own list of them, is on the disk."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put_in_place(aside: Path, folder: Path) -> None:
    # A folder cannot be renamed over one that holds files: the old one steps aside for a moment.
    old = folder.parent / f".old-{folder.name}-{uuid.uuid4().hex[:8]}"
    if folder.exists():
        folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
    handle = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
