"""Passages found by a query: a small world is learnt, judged beside BM25, and searched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import headwater as hw
from headwater.evaluation.metrics.retrieval import RetrievalReport
from headwater.run.reading import Reader
from tests.end_to_end.conftest import Seen

COLOURS = ("red", "green", "blue", "white", "black", "yellow")
ANIMALS = ("fox", "heron", "badger", "otter", "mole", "stoat")
ENTITIES = [(colour, animal) for colour in COLOURS for animal in ANIMALS]
UNSEEN = ENTITIES[::4]


def rows(entities: list[tuple[str, str]], count: int, seed: int) -> list[dict[str, str]]:
    rng = np.random.default_rng(seed)
    found: list[dict[str, str]] = []
    for _ in range(count):
        colour, animal = entities[rng.integers(len(entities))]
        ask = rng.choice(["who saw the {1} that is {0}", "is there a {0} {1} somewhere"])
        passage = f"near the river lived a {colour} {animal} and nobody knew why it had come"
        found.append({"question": f"{ask.format(colour, animal)} {rng.integers(99)}", "context": passage})
    return found


def write(path: Path, table: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(workplace: Path) -> dict[str, Path]:
    folder = workplace / "passages"
    folder.mkdir()
    seen = [entity for entity in ENTITIES if entity not in UNSEEN]
    return {
        "train": write(folder / "train.jsonl", rows(seen, 300, 1)),
        "valid": write(folder / "valid.jsonl", rows(seen, 30, 2)),
        "test": write(folder / "test.jsonl", rows(UNSEEN, 60, 3)),
    }


@pytest.fixture(scope="module")
def finder(workplace: Path, pretrained: hw.Run, files: dict[str, Path]) -> hw.Run:
    return hw.finetune(
        pretrained,
        files["train"],
        task="retrieval",
        out=workplace / "found" / "finder",
        validation=files["valid"],
        steps=60,
        assign=["training.checkpoint_steps=20", "training.evaluation_steps=30"],
        quiet=True,
    )


@pytest.fixture(scope="module")
def decoder(workplace: Path) -> hw.Run:
    return hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "found" / "decoder",
        objective="next_token",
        size="nano",
        steps=1,
        assign=["training.length=32", "training.batch_tokens=256"],
        quiet=True,
    )


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_passages_never_seen_are_found(finder: hw.Run, files: dict[str, Path]) -> None:
    report = finder.evaluate(files["test"])
    assert isinstance(report, RetrievalReport)
    assert report.passages == len(UNSEEN)
    assert report.model.recall_at_1.value > 0.5
    assert report.bm25.recall_at_10.value == 1.0  # the words tell, all of them
    told = report.to_dict()
    assert told["recall_at_1"]["value"] == report.model.recall_at_1.value
    assert told["baselines"]["BM25"]["recall_at_10"]["low"] == 1.0
    assert finder.summary.evaluation["recall_at_1"] > 0.5
    facts = json.loads((finder.path / "data.json").read_text(encoding="utf-8"))
    assert (facts["text"], facts["label"]) == (["question"], "context")


def test_validation_says_what_the_report_says(finder: hw.Run, files: dict[str, Path]) -> None:
    report = finder.evaluate(files["valid"])
    assert isinstance(report, RetrievalReport)
    assert finder.summary.evaluation["recall_at_1"] == pytest.approx(report.model.recall_at_1.value)


def test_a_score_is_the_cosine_of_the_vectors_that_embed_gives(
    finder: hw.Run, files: dict[str, Path]
) -> None:
    query = "who saw the otter that is red"
    hits = finder.search(files["test"], query, top=3)
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    vector, *found = finder.embed([query, *(hit["text"] for hit in hits)])
    assert [hit["score"] for hit in hits] == pytest.approx(
        [cosine(vector, other) for other in found], abs=1e-5
    )


def test_transformers_finds_the_same(finder: hw.Run, files: dict[str, Path]) -> None:
    model: Any = transformers.AutoModel.from_pretrained(finder.path / "model").eval()
    words: Any = transformers.AutoTokenizer.from_pretrained(finder.path / "model")
    query = "is there a blue fox somewhere"
    (hit,) = finder.search(files["test"], query, top=1)
    vectors: list[np.ndarray] = []
    for text in (query, hit["text"]):
        with torch.no_grad():
            states = model(**words(text, return_tensors="pt")).last_hidden_state
        vectors.append(states[0].mean(0).numpy())
    assert cosine(*vectors) == pytest.approx(hit["score"], abs=1e-5)


def test_a_second_search_embeds_nothing_and_says_so(
    pretrained: hw.Run,
    finder: hw.Run,
    workplace: Path,
    told: Callable[..., Seen],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = write(
        workplace / "passages" / "corpus.jsonl", [{"text": row["context"]} for row in rows(ENTITIES, 50, 4)]
    )
    first = told("", "search", pretrained.path, corpus, "a red fox", "--json")
    assert "embedded, and kept" in first.err
    assert first.err.count("each repeats an earlier one") == 1

    def never(*_: object, **__: object) -> None:
        raise AssertionError("embedded again")

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "windows", never)
        second = told("", "search", pretrained.path, corpus, "a red fox", "--json")
    assert "come from the cache" in second.err
    assert second.out == first.out
    other_model = told("", "search", finder.path, corpus, "a red fox")
    assert "embedded, and kept" in other_model.err
    other_numbers = told("", "search", pretrained.path, corpus, "a red fox", "--precision", "bf16")
    assert "embedded, and kept" in other_numbers.err
    write(corpus, [{"text": "another text"}])
    other_content = told("", "search", pretrained.path, corpus, "a red fox", "--quiet")
    assert "another text" in other_content.out
    assert other_content.err == ""


def test_damaged_vectors_are_made_again_and_that_is_said(
    pretrained: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    corpus = write(workplace / "passages" / "damaged.jsonl", [{"text": "a text that is kept"}])
    before = set((workplace / "cache" / "indexes").glob("*"))
    first = told("", "search", pretrained.path, corpus, "text")
    (folder,) = set((workplace / "cache" / "indexes").glob("*")) - before
    whole = (folder / "vectors.arrow").read_bytes()
    (folder / "vectors.arrow").write_bytes(whole[:-40] + bytes(40))
    again = told("", "search", pretrained.path, corpus, "text")
    assert "is not what was written: the vectors of this corpus are made again" in again.err
    assert again.out == first.out
    assert (folder / "vectors.arrow").read_bytes() == whole


def test_embedding_that_is_stopped_leaves_nothing_behind(
    pretrained: hw.Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write(workplace / "passages" / "stopped.jsonl", [{"text": "a text that is not kept"}])
    before = set((workplace / "cache" / "indexes").iterdir())

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "windows", stopped)
    with pytest.raises(KeyboardInterrupt):
        pretrained.search(corpus, "text")
    assert set((workplace / "cache" / "indexes").iterdir()) == before


def test_of_a_long_document_the_nearest_window_is_shown(finder: hw.Run, workplace: Path) -> None:
    folder = workplace / "passages" / "folder"
    folder.mkdir()
    filler = "nothing of note happened on that day in the village . " * 20
    text = f"{filler}near the river lived a white heron and nobody knew why it had come . {filler}".strip()
    (folder / "long.md").write_text(text + "\n", encoding="utf-8")
    (folder / "short.md").write_text("nothing of note\n", encoding="utf-8")
    hit = finder.search(folder, "who saw the heron that is white", top=1)[0]
    assert hit["path"] == str(folder / "long.md")
    assert hit["text"] == text[hit["start"] : hit["end"]]
    assert "heron" in hit["text"]
    windows = Reader.of_run(finder.folder)[0].windows([text])
    (query,) = finder.embed(["who saw the heron that is white"])
    assert len(windows.documents) > 5
    assert hit["score"] == pytest.approx(max(cosine(query, vector) for vector in windows.vectors), abs=1e-5)


def test_queries_of_standard_input_are_answered_line_by_line(
    finder: hw.Run, files: dict[str, Path], told: Callable[..., Seen]
) -> None:
    lines = b'who saw the otter that is red\n{"question": "is there a blue fox somewhere"}\n{broken\n'
    seen = told("", "search", finder.path, files["test"], "-", "--top", 2, "--json", stdin=lines)
    first, second, third = map(json.loads, seen.out.splitlines())
    hits = finder.search(files["test"], "who saw the otter that is red", top=2)
    assert [hit["row"] for hit in first["hits"]] == [hit["row"] for hit in hits]
    assert second["query"] == "is there a blue fox somewhere"
    assert (third["row"], "invalid JSON" in third["error"], seen.code) == (3, True, 65)
    seen = told("", "search", finder.path, files["test"], "-", "--top", 2, "--quiet", stdin=lines[:30])
    assert seen.out.splitlines()[0] == "who saw the otter that is red"
    assert f"  2. {first['hits'][1]['score']:.3f}  {files['test']}:" in seen.out


def test_a_finder_looks_into_the_column_that_held_its_passages(
    finder: hw.Run, pretrained: hw.Run, files: dict[str, Path]
) -> None:
    def found(run: hw.Run, **options: Any) -> int:
        return len(run.search(files["test"], "who", top=100, **options))

    assert found(finder) == len(UNSEEN)
    assert found(pretrained) > len(UNSEEN)  # questions and passages, row by row
    assert found(pretrained, text=["context"]) == len(UNSEEN)


def test_a_resumed_run_ends_with_the_same_bits(finder: hw.Run, workplace: Path) -> None:
    copy = workplace / "found" / "resumed"
    shutil.copytree(finder.path, copy)
    shutil.rmtree(copy / "model")
    shutil.rmtree(copy / "checkpoints" / "step-00000060")
    assert sorted(path.name for path in (copy / "checkpoints").iterdir()) == ["step-00000040"]
    hw.resume(copy, quiet=True)
    one, other = ((path / "model" / "model.safetensors").read_bytes() for path in (finder.path, copy))
    assert one == other


@pytest.mark.parametrize("adapt", ["lora", "gradual"])
def test_less_than_everything_may_learn(
    adapt: str, pretrained: hw.Run, files: dict[str, Path], workplace: Path
) -> None:
    run = hw.finetune(
        pretrained,
        files["train"],
        task="retrieval",
        out=workplace / "found" / adapt,
        steps=2,
        adapt=adapt,
        quiet=True,
    )
    assert len(run.search(files["test"], "a red fox", top=4)) == 4


def test_scratch_stands_for_random_weights(files: dict[str, Path], workplace: Path) -> None:
    run = hw.finetune(
        "scratch",
        files["train"],
        task="retrieval",
        out=workplace / "found" / "scratch",
        size="nano",
        steps=2,
        quiet=True,
    )
    words = json.loads((run.path / "model" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert "Ġriver" in words  # of the passages
    assert run.search(files["test"], "a red fox")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (("--set", "training.batch_rows=1"), "expected 2 or more"),
        (("--adapt", "head"), "adds no head that could learn alone"),
    ],
)
def test_a_way_to_train_that_cannot_work_is_refused(
    setting: tuple[str, str],
    words: str,
    pretrained: hw.Run,
    files: dict[str, Path],
    workplace: Path,
    told: Callable[..., Seen],
) -> None:
    out = ("--out", workplace / "found" / "refused")
    seen = told("", "finetune", pretrained.path, files["train"], "--task", "retrieval", *out, *setting)
    assert seen.code == 78
    assert words in seen.err


def test_one_passage_for_all_queries_is_refused(
    pretrained: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    path = write(workplace / "passages" / "same.jsonl", rows(ENTITIES[:1], 10, 5))
    seen = told("", "finetune", pretrained.path, path, "--task", "retrieval")
    assert seen.code == 65
    assert "every row holds the same passage" in seen.err


def test_a_decoder_neither_searches_nor_learns_to(
    decoder: hw.Run, files: dict[str, Path], workplace: Path, told: Callable[..., Seen]
) -> None:
    seen = told("", "search", decoder.path, files["test"], "a red fox")
    assert (seen.code, "has no encoder" in seen.err) == (2, True)
    out = ("--out", workplace / "found" / "refused")
    seen = told("", "finetune", decoder.path, files["train"], "--task", "retrieval", *out)
    assert (seen.code, "has no encoder" in seen.err) == (78, True)


def test_predict_names_search_instead(finder: hw.Run, told: Callable[..., Seen]) -> None:
    seen = told("", "predict", finder.path, "-", stdin=b"a red fox\n")
    assert seen.code == 2
    assert "headwater search RUN CORPUS QUERY" in seen.err


@pytest.mark.parametrize(
    ("corpus", "arguments", "code", "words"),
    [
        ("", ("a fox",), 65, "nothing is in there (0 bytes)"),
        (None, ("a fox",), 66, "there is no file or folder"),
        ("some words\n", (" ",), 2, "the query holds nothing but blanks"),
        ("some words\n", ("a fox", "--top", "0"), 2, "top = 0"),
        ("some words\n", ("a fox", "--text", "body"), 2, "is plain text and has no columns"),
    ],
)
def test_what_cannot_be_searched_is_said(
    corpus: str | None,
    arguments: tuple[str, ...],
    code: int,
    words: str,
    pretrained: hw.Run,
    tmp_path: Path,
    told: Callable[..., Seen],
) -> None:
    path = tmp_path / "corpus.txt"
    if corpus is not None:
        path.write_text(corpus, encoding="utf-8")
    seen = told("", "search", pretrained.path, path, *arguments)
    assert seen.code == code
    assert words in seen.err


def test_a_query_that_is_cut_is_said(
    pretrained: hw.Run, files: dict[str, Path], told: Callable[..., Seen]
) -> None:
    seen = told("", "search", pretrained.path, files["test"], "a fox and a heron " * 40)
    assert "1 of 1 queries are cut to the 64 tokens that the model reads" in seen.err
