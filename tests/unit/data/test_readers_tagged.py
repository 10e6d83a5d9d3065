"""Files of words with tags: which column is which, as the values tell."""

from pathlib import Path

import pytest

from headwater.data import find_sources, inspect, read_labelled
from headwater.data.readers.tagged import TAGS, TOKENS, TaggedTable
from headwater.run.tasks.tagging import TaggingTask

WORDS = ["Anna", "saw", "New", "York", "and", "Bruno", "saw", "Lima", "again"]
TAGS_OF = {
    "BIO": ["B-PER", "O", "B-LOC", "I-LOC", "O", "B-PER", "O", "B-LOC", "O"],
    "IO": ["PER", "O", "LOC", "LOC", "O", "PER", "O", "LOC", "O"],
    "one a word": ["NN", "VB", "NN", "NN", "CC", "NN", "VB", "NN", "RB"],
}


def written(path: Path, columns: list[list[str]], count: int = 3) -> Path:
    lines = "\n".join("\t".join(cells) for cells in zip(*columns, strict=True))
    path.write_text("\n\n".join([lines] * count) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["BIO", "IO"])
@pytest.mark.parametrize("turned", [False, True])
def test_the_column_of_tags_is_known_by_its_values(scheme: str, turned: bool, tmp_path: Path) -> None:
    columns = [WORDS, TAGS_OF[scheme]]
    path = written(tmp_path / "names.bio", columns[::-1] if turned else columns)
    table = TaggedTable(find_sources(path)[0])
    first = next(iter(table.rows((TOKENS, TAGS))))
    assert first.cells == (" ".join(WORDS), " ".join(TAGS_OF[scheme]))
    assert bool(table.note) == turned
    assert table.facts["tags"] == f"{scheme} (guessed)"


def test_columns_between_word_and_tag_are_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "names.conll", [WORDS, TAGS_OF["one a word"], TAGS_OF["BIO"]])
    (row, *_) = read_labelled(path, text=TOKENS, label=TAGS, labels="text").examples
    assert (row.text, row.label) == (" ".join(WORDS), " ".join(TAGS_OF["BIO"]))


def test_what_was_understood_is_told_before_training(tmp_path: Path) -> None:
    path = written(tmp_path / "names.bio", [TAGS_OF["BIO"], WORDS])
    assert "layout: a tag and its word a line" in str(inspect(path))
    rows = TaggingTask.read(path, text=None, label=None, split="train")
    assert rows.problems.notes == {"file(s) with the tag before its word (guessed from the values)": 1}
    assert "tags read as BIO; spans: LOC 6, PER 6" in TaggingTask.learnt_from("tagging", rows).remark(rows)
