"""Settings are strict, and say what they would have understood."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from headwater.errors import SettingsError
from headwater.settings import assignments, from_mapping, merged, to_mapping, unknown_choice


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    kind: Literal["a", "b"] = "a"
    mode: Literal["fast", "slow"] | Literal["late"] | None = None
    steps: int | None = None
    inner: Inner = field(default_factory=Inner)


def test_settings_come_back_as_they_were_written() -> None:
    settings = Outer(kind="b", mode="late", steps=3, inner=Inner(rate=0.5, names=("x", "y")))
    assert from_mapping(Outer, to_mapping(settings)) == settings


def test_an_unknown_name_proposes_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match=r"unknown setting 'inner\.rat'; did you mean 'rate'\?"):
        from_mapping(Outer, {"inner": {"rat": 1.0}})


@pytest.mark.parametrize("values", [{"steps": "ten"}, {"steps": True}, {"kind": "c"}, {"inner": 3}])
def test_a_value_of_another_kind_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="expected"):
        from_mapping(Outer, values)


def test_a_whole_number_may_stand_for_a_float() -> None:
    rate = from_mapping(Outer, {"inner": {"rate": 1}}).inner.rate
    assert rate == 1.0
    assert isinstance(rate, float)


def test_assignments_are_read_as_toml_and_nested_by_their_dots() -> None:
    found = assignments(["inner.rate=2.5", "kind=b", 'inner.names=["x"]', "data.text=title"])
    assert found == {"inner": {"rate": 2.5, "names": ["x"]}, "kind": "b", "data": {"text": "title"}}


def test_an_assignment_without_a_value_is_refused() -> None:
    with pytest.raises(SettingsError, match="no '='"):
        assignments(["training.steps"])


def test_merging_keeps_what_the_other_side_does_not_say() -> None:
    assert merged({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": 5}}) == {"a": {"x": 1, "y": 5}, "b": 3}


def test_a_value_where_a_table_belongs_is_never_replaced_in_silence() -> None:
    with pytest.raises(SettingsError, match=r"a = 3; expected a table"):
        merged({"a": 3}, {"a": {"y": 5}})


def test_a_choice_that_does_not_exist_proposes_the_nearest_one() -> None:
    assert unknown_choice("model.size", "tinny", ["nano", "tiny"]) == (
        "model.size = 'tinny' is unknown; did you mean 'tiny'? choose one of nano, tiny"
    )
