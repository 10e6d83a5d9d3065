"""Settings: Python and strict TOML are two doors to one room.

A settings class is a frozen, keyword-only dataclass that checks itself on construction. This file fills
one from a mapping (a TOML table, ``a.b=c`` from the command line), refusing what the class does not know.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from headwater.errors import MissingInputError, SettingsError

Settings = TypeVar("Settings")
Table = Mapping[str, Any]


def from_mapping(kind: type[Settings], values: Mapping[str, object], where: str = "") -> Settings:
    """Fill the settings class ``kind``; unknown keys are errors that propose the nearest known one."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(typing.cast(Any, kind))]
    for name in values:
        if name not in names:
            raise SettingsError(unknown(f"{where}{name}", name, names))
    filled = {name: _convert(value, hints[name], f"{where}{name}") for name, value in values.items()}
    return kind(**filled)


def to_mapping(settings: object) -> dict[str, Any]:
    """The reverse of ``from_mapping``; values that are None are left out, as TOML has no word for them."""
    result: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, settings)):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            result[field.name] = to_mapping(value)
        elif value is not None:
            result[field.name] = list(value) if isinstance(value, tuple) else value
    return result


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a mapping."""
    if not path.is_file():
        raise MissingInputError(f"there is no settings file {path}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} is not valid TOML: {problem}") from problem


def write_toml(path: Path, values: Mapping[str, object]) -> None:
    """Write a mapping as TOML."""
    path.write_text(tomli_w.dumps(values), encoding="utf-8")


def assignments(texts: typing.Sequence[str]) -> dict[str, Any]:
    """Nested values from ``a.b=c`` texts; c is read as TOML, or as plain text where it is not TOML."""
    nested: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SettingsError(f"--set {text} has no '='; write --set training.learning_rate=0.001")
        *path, last = name.strip().split(".")
        table = nested
        for part in path:
            table = table.setdefault(part, {})
        table[last] = _toml_value(value.strip())
    return nested


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over`` in place of its own, table by table."""
    result = dict(base)
    for name, value in over.items():
        mine = result.get(name)
        if isinstance(value, Mapping) and mine is not None and not isinstance(mine, Mapping):
            raise SettingsError(
                f"{name} = {mine!r}; expected a table of settings: write [{name}] and its values"
            )
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            result[name] = merged(typing.cast(Table, mine), typing.cast(Table, value))
        else:
            result[name] = value
    return result


def unknown(shown: str, name: str, known: typing.Sequence[str]) -> str:
    """The sentence for a setting that does not exist, with the nearest one that does."""
    return f"unknown setting '{shown}'{_nearest(name, known)} known here: {', '.join(known)}"


def unknown_choice(shown: str, choice: str, known: typing.Sequence[str]) -> str:
    """The sentence for a setting that does exist, given a name that does not."""
    return f"{shown} = '{choice}' is unknown{_nearest(choice, known)} choose one of {', '.join(known)}"


def _nearest(name: str, known: typing.Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ";"


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _convert(value: object, hint: Any, where: str) -> Any:
    # A union of literals is a typing.Union, any other one a types.UnionType.
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    options = typing.get_args(hint) if union else (hint,)
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            return from_mapping(typing.cast(type, option), value, f"{where}.")
        if _fits(value, option):
            return tuple(typing.cast(Any, value)) if typing.get_origin(option) is tuple else value
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
    expected = " or ".join(_in_words(option) for option in options if option is not type(None))
    raise SettingsError(f"{where} = {value!r}; expected {expected}")


def _in_words(option: Any) -> str:
    """What a person would call the values that a type allows."""
    if typing.get_origin(option) is typing.Literal:
        return " or ".join(map(str, typing.get_args(option)))
    if typing.get_origin(option) is tuple:
        return "a list"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return words.get(option, "a table of settings")


def _fits(value: object, option: Any) -> bool:
    origin = typing.get_origin(option)
    if origin is tuple:
        return isinstance(value, list | tuple)
    if origin is typing.Literal:
        return value in typing.get_args(option)
    if option is type(None):
        return value is None
    if isinstance(value, bool) and option is not bool:
        return False
    return isinstance(value, origin or option)
