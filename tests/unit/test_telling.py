"""How results say themselves."""

import numpy as np
import pytest

from headwater.evaluation.metrics import classification_report
from headwater.telling import Told, in_columns


class Answer(Told):
    def __str__(self) -> str:
        return "a < b\nc"


def test_a_result_is_printed_as_it_says_itself() -> None:
    assert repr(Answer()) == "a < b\nc"
    assert Answer()._repr_html_() == "<pre>a &lt; b\nc</pre>"  # pyright: ignore[reportPrivateUsage]


def test_chinese_keeps_its_columns() -> None:
    assert in_columns([["是", "称为", "x"], ["ab", "y", "z"]]) == "是  称为  x\nab  y     z"


def report(classes: int) -> str:
    labels = np.arange(classes).repeat(4)
    probabilities = np.eye(classes)[np.where(labels == 1, 0, labels)]
    return str(classification_report(labels, probabilities, [f"kind {number}" for number in range(classes)]))


def test_a_classification_shows_what_is_called_what() -> None:
    lines = report(3).splitlines()
    table = lines[lines.index("is, called  kind 0  kind 1  kind 2") :]
    assert table[1:] == [
        "kind 0      4       0       0",
        "kind 1      4       0       0",
        "kind 2      0       0       4",
    ]
    assert any(line.startswith("kind 1  0.000 (95 % 0.000 … 0.000)") for line in lines)


@pytest.mark.parametrize("classes", [30])
def test_of_many_labels_only_the_mistakes_are_shown(classes: int) -> None:
    lines = report(classes).splitlines()
    assert lines[-2:] == ["most often mistaken (all of it with --json):", "kind 1 called kind 0: 4"]
