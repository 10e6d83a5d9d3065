"""The words of every published layout: how tensors are renamed, and how a strange config is refused."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from headwater.errors import BadDataError
from headwater.models.checks import LARGEST
from headwater.models.heads import HeadSettings
from headwater.models.settings import BackboneSettings, TransformerSettings

Config = Mapping[str, Any]

# Keys of a config.json that say nothing about what the model computes.
HARMLESS = frozenset(
    [
        "_name_or_path",
        "architectures",
        "dtype",
        "torch_dtype",
        "transformers_version",
        "model_type",
        "initializer_range",
        "use_cache",
        "id2label",
        "label2id",
        "problem_type",
        "return_dict",
        "output_hidden_states",
        "output_attentions",
        "pad_token_id",
        "bos_token_id",
        "eos_token_id",
        "cls_token_id",
        "sep_token_id",
        "mask_token_id",
        "unk_token_id",
        "pretraining_tp",
        "tokenizer_class",
        "is_encoder_decoder",
        "chunk_size_feed_forward",
    ]
)


# Checked before anything as long as the depth is built.
LARGEST_COUNTS = {"num_hidden_layers": LARGEST["depth"]}


class Rename(NamedTuple):
    """One tensor of ours and its published name, or names where the published layout keeps its rows apart.

    ``shape`` is the published shape where it is another one, and ``own_shape`` is ours where it is not the published
    one without its first length of 1; ``transposed`` matrices map rows from the left there: x W instead of ours, x Wᵀ.
    """

    ours: str
    published: tuple[str, ...]
    rows: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    own_shape: tuple[int, ...] = ()
    transposed: bool = False

    def under(self, prefix: str, *, instead_of: str) -> "Rename":
        """The same with published names that begin otherwise."""
        return self._replace(
            published=tuple(prefix + name.removeprefix(instead_of) for name in self.published)
        )


class Extra(NamedTuple):
    """A tensor that a published layout has and our models have not.

    It is written as ``value``, with which the model computes there what it computes here. Read from a file, its first
    row is added to every row of the published tensor ``joins``; where it joins none, it is passed over, and may be
    missing. Where it is ``fixed``, a file that says something else is refused.
    """

    published: str
    value: Tensor
    joins: str = ""
    fixed: bool = False


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Token numbers that other tools look up in config.json."""

    pad: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None


Repeated = Callable[[HeadSettings | None, Mapping[str, Any]], dict[str, str]]


def ties(pairs: Mapping[str, str], body: Mapping[str, str] = MappingProxyType({})) -> Repeated:
    """For a layout whose tied head may repeat tensors in a file: ``pairs`` of a repetition and its original.

    Those of ``body`` may be repeated whatever the head.
    """

    def repeated(head: HeadSettings | None, found: Mapping[str, Any]) -> dict[str, str]:
        tied = head is not None and head.tied and head.name in ("masked_tokens", "next_token")
        known = {**body, **(pairs if tied else {})}
        return {name: original for name, original in known.items() if name in found}

    return repeated


def no_ties(head: HeadSettings | None, found: Mapping[str, Any]) -> dict[str, str]:
    """For a layout that has no tied head."""
    del head, found
    return {}


def no_extras(settings: Any, head: HeadSettings | None) -> list[Extra]:
    """Most layouts have no tensor that our models have not."""
    del settings, head
    return []


def as_said(head: HeadSettings | None, config: Config, found: Collection[str]) -> HeadSettings | None:
    """The head as config.json names it, whatever tensors there are."""
    del config, found
    return head


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One published layout: what it can say, and in which words.

    ``refusal`` gives the reason why a backbone and its head cannot be written in it, or None.
    ``architectures`` maps the head's name ("" for none) to the class that loads it elsewhere. ``head_in_file`` corrects
    the head that config.json names by the names of the tensors in a file. ``repeated`` gives, of those names, the ones
    that repeat a tied tensor, and which; ``computed`` tensors (names, or patterns of names) may stand in a file too and
    are not read: they follow from the settings, or nobody ever read them. ``extras`` are the tensors that stand in
    every file and in none of our models. ``modules`` are parts of names that transformers 5 replaces by others as it
    reads a file, in this order.
    """

    model_type: str
    architectures: Mapping[str, str]
    refusal: Callable[[BackboneSettings, HeadSettings | None], str | None]
    to_config: Callable[[Any, HeadSettings | None, SpecialTokens], dict[str, Any]]
    from_config: Callable[[Config], BackboneSettings]
    head_of: Callable[[Config], HeadSettings | None]
    names: Callable[[Any, HeadSettings | None], list[Rename]]
    body_prefix: str = field(default="model.")
    head_in_file: Callable[[HeadSettings | None, Config, Collection[str]], HeadSettings | None] = as_said
    repeated: Repeated = no_ties
    computed: frozenset[str] = frozenset()
    extras: Callable[[Any, HeadSettings | None], list[Extra]] = no_extras
    modules: tuple[tuple[str, str], ...] = ()

    def in_memory(self, name: str) -> str:
        """What transformers 5 calls a tensor that a file names so."""
        for published, module in self.modules:
            name = name.replace(published, module)
        return name

    def passes_over(self, name: str, extras: Iterable[Extra]) -> bool:
        """True for a tensor that may stand in a file and is not read."""
        unread = [extra.published for extra in extras if not extra.joins]
        return any(fnmatchcase(name, pattern) for pattern in (*self.computed, *unread))


def to_published(
    tensors: Mapping[str, Tensor], names: Iterable[Rename], extras: Iterable[Extra] = ()
) -> dict[str, Tensor]:
    """Our tensors under their published names, and what we have not; every one of ours must have a name."""
    left = dict(tensors)
    result: dict[str, Tensor] = {}
    for rename in names:
        tensor = left.pop(rename.ours)
        if rename.shape:
            tensor = tensor.reshape(rename.shape)
        if rename.transposed:
            tensor = tensor.T
        parts = cast(tuple[Tensor, ...], tensor.split(list(rename.rows))) if rename.rows else (tensor,)
        result.update(zip(rename.published, (part.contiguous() for part in parts), strict=True))
    assert not left, f"tensors without a published name: {sorted(left)}"
    return result | {extra.published: extra.value for extra in extras}


def from_published(
    tensors: Mapping[str, Tensor], names: Iterable[Rename], extras: Iterable[Extra] = ()
) -> dict[str, Tensor]:
    """Published tensors under our names, rows joined where ours are fused, ``extras`` in what they join."""
    whole = dict(tensors)
    for extra in extras:
        found = tensors.get(extra.published)
        if extra.fixed and found is not None and not torch.equal(found.float(), extra.value.float()):
            raise BadDataError(f"{extra.published} holds other numbers than this program computes with")
        if extra.joins:
            whole[extra.joins] = tensors[extra.joins].float() + tensors[extra.published][0].float()
    return {rename.ours: _joined(whole, rename) for rename in names}


def _joined(tensors: Mapping[str, Tensor], rename: Rename) -> Tensor:
    if rename.rows:
        return torch.cat([tensors[name] for name in rename.published])
    (name,) = rename.published
    tensor = tensors[name].T if rename.transposed else tensors[name]
    return tensor.reshape(rename.own_shape or tensor.shape[1:]) if rename.shape else tensor


def linear(ours: str, published: str, *, bias: bool) -> list[Rename]:
    """A linear map or a norm, with its bias if it has one."""
    ends = ("weight", "bias") if bias else ("weight",)
    return [Rename(f"{ours}.{end}", (f"{published}.{end}",)) for end in ends]


def fused(ours: str, published: Iterable[str], rows: tuple[int, ...], *, bias: bool) -> list[Rename]:
    """One linear map of ours that is several of theirs, one below the other."""
    published = tuple(published)
    ends = ("weight", "bias") if bias else ("weight",)
    return [Rename(f"{ours}.{end}", tuple(f"{name}.{end}" for name in published), rows) for end in ends]


def transposed(ours: str, published: str) -> list[Rename]:
    """A linear map with a bias whose matrix the published layout keeps the other way round."""
    weight, bias = linear(ours, published, bias=True)
    return [weight._replace(transposed=True), bias]


def other_than(settings: TransformerSettings, fixed: Mapping[str, object]) -> str | None:
    """The first setting that is not the one that a layout has no word for, or None; all of them attend by softmax."""
    for name, value in {"attention": "softmax", **fixed}.items():
        if getattr(settings, name) != value:
            return f"{name} is {getattr(settings, name)!r}, not {value!r}"
    return None


def uneven_heads(settings: TransformerSettings) -> str | None:
    """Why the heads are not as many slices of the width, each with keys of its own, or None."""
    if (
        settings.key_value_heads == settings.num_heads
        and settings.head_width * settings.num_heads == settings.width
    ):
        return None
    return "heads are grouped, or do not fill the width"


def check_keys(config: Config, known: Collection[str]) -> None:
    """Refuse keys that this program does not know: one of them could change what the model computes."""
    if "auto_map" in config:
        raise BadDataError(
            "config.json holds auto_map, which asks to run code that came with the model; refused"
        )
    strange = sorted(set(config) - HARMLESS - set(known))
    if strange:
        raise BadDataError(
            f"config.json holds {', '.join(strange)}, unknown for model_type {config.get('model_type')!r}: they could "
            "change what the model computes, so it is not loaded; remove them if they are known to change nothing"
        )


def must_be(config: Config, key: str, *allowed: object) -> None:
    """Refuse a value of ``key`` other than those allowed; an absent key is one of them."""
    if key in config and config[key] not in allowed:
        shown = " or ".join(repr(value) for value in allowed)
        raise BadDataError(f"config.json says {key} = {config[key]!r}; this program can load {shown} only")


def needed(config: Config, *keys: str) -> None:
    """Refuse a config without one of these counts, or with one that no machine could hold."""
    for key in keys:
        value = config.get(key)
        if type(value) is not int or not 1 <= value <= LARGEST_COUNTS.get(key, LARGEST["vocabulary_size"]):
            raise BadDataError(
                f"config.json says {key} = {value!r}; expected a whole number above 0, within reason"
            )


def default_rotation(parameters: object, theta: float) -> float:
    """The rotary base of a ``rope_parameters`` table; scaled rotations are refused."""
    if parameters is None:
        return theta
    if not isinstance(parameters, Mapping):
        raise BadDataError(f"config.json says rope_parameters = {parameters!r}; expected a table")
    table = cast(Config, parameters)
    kind = table.get("rope_type", table.get("type", "default"))
    if kind != "default" or set(table) - {"rope_type", "type", "rope_theta"}:
        raise BadDataError(
            f"config.json scales its rotary positions ({dict(table)}); only the default is known"
        )
    return float(table.get("rope_theta", theta))


def classes_of(config: Config) -> int:
    """How many classes a config names (transformers writes two when nothing is said)."""
    labels = config.get("id2label")
    return len(cast(Config, labels)) if isinstance(labels, Mapping) else int(config.get("num_labels", 2))


def task_of(config: Config, architectures: Mapping[str, str]) -> str:
    """The head that a config's ``architectures`` names: "" for none."""
    named = config.get("architectures") or [architectures[""]]
    tasks = [task for task, architecture in architectures.items() if [architecture] == named]
    if not tasks:
        known = ", ".join(dict.fromkeys(architectures.values()))
        raise BadDataError(f"config.json names the architecture {named}; this program can load {known}")
    # One published class serves classification and regression: problem_type tells them apart.
    return "regression" if "regression" in tasks and config.get("problem_type") == "regression" else tasks[0]
