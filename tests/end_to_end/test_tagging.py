"""Names found in sentences: learnt from BIO files, judged as conlleval does, answered with places in the text."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import headwater as hw
from headwater.data.tokenizer import Tokenizer
from headwater.evaluation.metrics.spans import SpanReport
from headwater.run.settings import TrainingSettings
from headwater.run.tasks.tagging import Sentence, TaggedRows, TaggingTask
from tests.end_to_end.conftest import Seen

PEOPLE = ["Anna", "Bruno", "Carla", "Dmitri", "Elif"]
PLACES = ["Paris", "Lima", "Accra", "Hanoi", "New York"]


def sentences(count: int, seed: int) -> list[list[tuple[str, str]]]:
    rng = np.random.default_rng(seed)
    found: list[list[tuple[str, str]]] = []
    for _ in range(count):
        person, place = str(rng.choice(PEOPLE)), str(rng.choice(PLACES))
        first, *rest = place.split()
        named = [(first, "B-LOC"), *((word, "I-LOC") for word in rest)]
        found.append([(person, "B-PER"), ("went", "O"), ("to", "O"), *named, (".", "O")])
    return found


def write(path: Path, rows: list[list[tuple[str, str]]]) -> Path:
    text = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in row) for row in rows)
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tagger(workplace: Path, pretrained: hw.Run) -> hw.Run:
    return hw.finetune(
        pretrained,
        write(workplace / "names.bio", sentences(200, 1)),
        task="tagging",
        out=workplace / "tagged" / "tagger",
        validation=write(workplace / "names_valid.bio", sentences(30, 2)),
        steps=120,
        quiet=True,
    )


def test_names_are_found(tagger: hw.Run, workplace: Path) -> None:
    report = tagger.evaluate(write(workplace / "names_test.bio", sentences(40, 3)))
    assert isinstance(report, SpanReport)
    assert report.f1.value > 0.9
    assert {score.kind for score in report.kinds} == {"PER", "LOC"}
    assert tagger.summary.evaluation["f1"] > 0.9


def test_spans_come_with_their_place_in_the_text(tagger: hw.Run) -> None:
    text = "Elif went to New York."
    (answer,) = tagger.predict([text])
    assert [(span["kind"], span["text"]) for span in answer["spans"]] == [
        ("PER", "Elif"),
        ("LOC", "New York"),
    ]
    for span in answer["spans"]:
        assert text[span["start"] : span["end"]] == span["text"]


def test_a_long_text_is_read_in_windows(tagger: hw.Run) -> None:
    text = " ".join(["Anna went to Lima ."] * 60)
    (answer,) = tagger.predict([text])
    assert len(answer["spans"]) > 60
    assert answer["spans"][-1]["start"] > len(text) - 60  # far behind the first window
    assert all(text[span["start"] : span["end"]] == span["text"] for span in answer["spans"])


def test_lists_in_json_are_read_too(workplace: Path, pretrained: hw.Run) -> None:
    path = workplace / "names.jsonl"
    rows = [
        {"tokens": [word for word, _ in row], "tags": [tag for _, tag in row]} for row in sentences(30, 4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = hw.finetune(
        pretrained, path, task="tagging", out=workplace / "tagged" / "lists", steps=2, quiet=True
    )
    assert run.summary.finished


def test_sentences_that_do_not_fit_are_left_out_and_said(
    workplace: Path, pretrained: hw.Run, told: Callable[..., Seen]
) -> None:
    path = workplace / "broken.bio"
    text = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in row) for row in sentences(30, 5))
    path.write_text(text + "\n\nAnna\tB-PER\nwent\n\n", encoding="utf-8")
    out = workplace / "tagged" / "broken"
    seen = told("", "finetune", pretrained.path, path, "--task", "tagging", "--steps", "2", "--out", out)
    assert seen.code == 0
    assert "1 of 31 rows left out: 1 word without a tag" in seen.err


def test_a_table_without_tags_is_refused(
    workplace: Path, pretrained: hw.Run, told: Callable[..., Seen]
) -> None:
    seen = told("", "finetune", pretrained.path, workplace / "train.csv", "--task", "tagging", "--quiet")
    assert seen.code == 65
    assert 'no column "tokens"' in seen.err


def test_every_word_of_a_long_sentence_is_learnt_from(pretrained: hw.Run) -> None:
    tokenizer = Tokenizer.load(pretrained.path / "model" / "tokenizer.json")
    words = ["Anna", "went", "to", "Lima"] * 40
    rows = TaggedRows([["Bruno"], words], [[0], list(range(len(words)))])
    training = TrainingSettings(length=32, batch_rows=1000, micro_batches=1)
    stream = rows.batches(tokenizer, training)
    batch = stream.batch(0)
    assert batch.labels is not None
    assert batch.inputs.shape[1] <= 32
    assert set(range(len(words))) <= set(batch.labels.flatten().tolist())
    assert sorted(stream.example(int(item)) for item in batch.items) == [0] + [1] * (len(batch.items) - 1)


def test_an_edited_card_is_named(tagger: hw.Run, workplace: Path, told: Callable[..., Seen]) -> None:
    copy = workplace / "tagged" / "edited"
    shutil.copytree(tagger.path, copy)
    card = json.loads((copy / "model" / "headwater.json").read_text(encoding="utf-8"))
    card["labels"] = None
    (copy / "model" / "headwater.json").write_text(json.dumps(card), encoding="utf-8")
    seen = told("", "predict", copy, "-", "--quiet", stdin=b"Anna went\n")
    assert seen.code == 65
    assert "lacks what tagging needs" in seen.err


def in_bioes(tags: list[str]) -> list[str]:
    after = [*tags[1:], "O"]
    ends = [not tag.startswith("I") for tag in after]
    letters = {("B", True): "S", ("I", True): "E"}
    return [
        tag if tag == "O" else letters.get((tag[0], end), tag[0]) + tag[1:]
        for tag, end in zip(tags, ends, strict=True)
    ]


def test_bioes_is_read_as_the_same_names(tagger: hw.Run, workplace: Path, told: Callable[..., Seen]) -> None:
    rows = sentences(40, 3)
    other = [list(zip([w for w, _ in row], in_bioes([tag for _, tag in row]), strict=True)) for row in rows]
    path = write(workplace / "bioes.bio", other)
    assert "S-PER" in path.read_text(encoding="utf-8")
    plain = tagger.evaluate(write(workplace / "bio.bio", rows))
    assert isinstance(plain, SpanReport)
    assert tagger.evaluate(path).to_dict() == plain.to_dict()
    out = workplace / "tagged" / "bioes"
    seen = told(
        "tags in BIOES", "finetune", tagger.path, path, "--task", "tagging", "--steps", "2", "--out", out
    )
    assert "tags read as BIOES; spans: LOC 40, PER 40" in seen.err
    card = json.loads((out / "model" / "headwater.json").read_text(encoding="utf-8"))
    assert card["labels"] == ["B-LOC", "B-PER", "I-LOC", "O"]


def test_sentences_whose_names_overlap_are_left_out_and_said(
    pretrained: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    rows = [*sentences(30, 5), [("Paris", "B-PER|B-LOC"), ("sang", "O")]]
    path, out = write(workplace / "nested.bio", rows), workplace / "tagged" / "nested"
    seen = told(
        *("tags that overlap", "finetune", pretrained.path, path, "--task", "tagging", "--steps", "2"),
        *("--out", out),
    )
    assert seen.code == 0
    assert "1 of 31 rows left out: 1 overlapping tags" in seen.err


def test_a_list_of_words_is_answered_by_words(tagger: hw.Run, told: Callable[..., Seen]) -> None:
    row = json.dumps({"tokens": ["Anna", "went", "to", "New", "York", "."]}).encode()
    seen = told("", "predict", tagger.path, "-", "--quiet", stdin=row + b"\n")
    assert json.loads(seen.out)["spans"] == [
        {"kind": "PER", "text": "Anna", "words": [0, 1]},
        {"kind": "LOC", "text": "New York", "words": [3, 5]},
    ]


def test_words_of_scripts_with_vowel_signs_are_whole() -> None:
    assert Sentence.of("हिन्दी में, مُحَمَّد 中文", words_given=False).words == [
        "हिन्दी",
        "में",
        ",",
        "مُحَمَّد",
        "中",
        "文",
    ]


def test_words_that_run_together_are_learnt_as_they_were_given(tmp_path: Path) -> None:
    row = [("中国", "B-LOC"), ("人民", "O"), ("很", "O"), ("好", "O")]
    path = write(tmp_path / "words.bio", [row] * 20)
    rows = TaggingTask.read(path, text=None, label=None, split="train")
    task = TaggingTask.learnt_from("tagging", rows)
    assert task.words_given
    assert TaggingTask.of_card({"task": "tagging", **task.card}) == task
    assert Sentence.of("中国 人民 好", words_given=True).words == ["中国", "人民", "好"]
    by_character = write(tmp_path / "characters.bio", [[("中", "B-LOC"), ("国", "I-LOC"), ("好", "O")]] * 20)
    read = TaggingTask.read(by_character, text=None, label=None, split="train")
    assert not TaggingTask.learnt_from("tagging", read).words_given
