"""Texts written from texts: a small language pair is learnt, judged, asked from Python and the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import headwater as hw
from headwater.evaluation.metrics.text import TextReport
from headwater.run.generating import Decoding
from tests.end_to_end.conftest import Seen

WORDS = {
    "one": "eins",
    "two": "zwei",
    "three": "drei",
    "red": "rote",
    "green": "grüne",
    "blue": "blaue",
    "birds": "Vögel",
    "ships": "Schiffe",
    "stones": "Steine",
}
ENGLISH = list(WORDS)
SMALL = [
    "training.learning_rate=0.003",
    "training.batch_rows=16",
    "training.micro_batches=1",
    "model.dropout=0.0",
]


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    found: list[tuple[str, str]] = []
    for _ in range(count):
        words = [
            str(rng.choice(ENGLISH[start : start + 3]))
            for _ in range(rng.choice([1, 2, 2]))
            for start in (0, 3, 6)
        ]
        found.append((" ".join(words), " ".join(WORDS[word] for word in words)))
    return found


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("en\tde\n" + "".join(f"{en}\t{de}\n" for en, de in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def pair_files(workplace: Path) -> dict[str, Path]:
    folder = workplace / "pairs"
    folder.mkdir()
    return {
        "train": write(folder / "train.tsv", pairs(400, 1)),
        "valid": write(folder / "valid.tsv", pairs(40, 2)),
        "test": write(folder / "test.tsv", pairs(60, 3)),
    }


@pytest.fixture(scope="session")
def translator(workplace: Path, pair_files: dict[str, Path]) -> hw.Run:
    return hw.finetune(
        "scratch",
        pair_files["train"],
        task="translation",
        out=workplace / "written" / "translator",
        validation=pair_files["valid"],
        size="nano",
        steps=180,
        assign=SMALL,
        quiet=True,
    )


def test_the_pair_is_learnt(translator: hw.Run, pair_files: dict[str, Path]) -> None:
    report = translator.evaluate(pair_files["test"])
    assert isinstance(report, TextReport)
    assert report.bleu.value > 80
    assert report.bleu.low <= report.bleu.value <= report.bleu.high
    assert 80 < report.chrf.low <= report.chrf.value <= report.chrf.high
    assert "tok:13a" in report.signature
    assert translator.summary.evaluation["bleu"] > 50


def test_the_columns_are_guessed_and_said(pair_files: dict[str, Path], translator: hw.Run) -> None:
    facts = json.loads((translator.path / "data.json").read_text(encoding="utf-8"))
    assert (facts["text"], facts["label"]) == (["en"], "de")


def test_python_and_the_command_line_write_the_same(
    translator: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    texts = ["two red ships", "one blue stones three green birds"]
    written = translator.translate(texts)
    assert written == ["zwei rote Schiffe", "eins blaue Steine drei grüne Vögel"]
    rows = workplace / "sources.jsonl"
    rows.write_text("".join(json.dumps({"en": text}) + "\n" for text in texts), encoding="utf-8")
    seen = told("", "translate", translator.path, rows, "--quiet")
    assert [json.loads(line)["text"] for line in seen.out.splitlines()] == written
    seen = told("", "predict", translator.path, rows, "--quiet")
    assert [json.loads(line)["text"] for line in seen.out.splitlines()] == written
    seen = told("", "translate", translator.path, "-", "--quiet", stdin=b"two red ships\n")
    assert json.loads(seen.out)["text"] == written[0]
    greedy = ("--temperature", "0", "--quiet")
    for stream in ((), ("--stream",)):  # what is read is not what is written
        seen = told("", "generate", translator.path, "--prompt", "two red ships", *greedy, *stream)
        assert seen.out.strip() == written[0]


def test_every_line_has_its_answer_in_its_place_blank_ones_too(
    translator: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    lines = workplace / "aligned.txt"
    lines.write_text("two red ships\n\none blue stones three green birds\n", encoding="utf-8")
    wanted = ["zwei rote Schiffe", "", "eins blaue Steine drei grüne Vögel"]
    for rows, stdin in ((lines, b""), ("-", lines.read_bytes())):
        seen = told("", "translate", translator.path, rows, stdin=stdin)
        assert [json.loads(line)["text"] for line in seen.out.splitlines()] == wanted
        assert "1 of 3 lines are blank, and their answers empty texts" in seen.err
    assert translator.translate(["two red ships", ""]) == wanted[:2]


def test_translations_are_drawn_by_their_seed_and_end_before_a_stop(
    translator: hw.Run, told: Callable[..., Seen]
) -> None:
    def drawn(*options: object) -> dict[str, Any]:
        seen = told("", "translate", translator.path, "-", "--quiet", *options, stdin=b"two red ships")
        return json.loads(seen.out)

    wild = ("--temperature", 5, "--top-k", 400, "--top-p", 1, "--min-p", 1e-9)
    assert drawn(*wild, "--seed", 1) == drawn(*wild, "--seed", 1) != drawn(*wild, "--seed", 2)
    assert drawn("--top-k", 1)["text"] == "zwei rote Schiffe"
    assert "score" not in drawn("--top-k", 1)
    assert drawn("--stop", " Schiffe", "--temperature", 0)["text"] == "zwei rote"


def test_blank_lines_between_json_are_no_rows(translator: hw.Run, told: Callable[..., Seen]) -> None:
    seen = told("", "translate", translator.path, "-", "--quiet", stdin=b'{"en": "two red ships"}\n\n')
    assert len(seen.out.splitlines()) == 1


@pytest.mark.parametrize("verb", ["translate", "generate", "evaluate"])
def test_sources_that_are_read_in_part_are_said_once(
    translator: hw.Run, workplace: Path, told: Callable[..., Seen], verb: str
) -> None:
    rows = [("two red ships " * 200, "zwei"), ("two red ships", "zwei rote Schiffe")]
    seen = told("", verb, translator.path, write(workplace / "long.tsv", rows))
    assert seen.code == 0
    assert seen.err.count("1 of 2 texts are longer than the") == 1
    assert "lose their end" in seen.err


def test_in_bf16_it_writes_the_same_where_the_words_are_sure(
    translator: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    quick = hw.open_run(translator.path, precision="bf16")
    texts = [source for source, _ in pairs(40, 4)]
    assert quick.translate(texts) == translator.translate(texts)
    assert [one["text"] for one in quick.generate(texts, Decoding(temperature=0.0))] == [
        one["text"] for one in translator.generate(texts, Decoding(temperature=0.0))
    ]
    rows = workplace / "quick.jsonl"
    rows.write_text('{"en": "two red ships"}\n', encoding="utf-8")
    seen = told("", "translate", translator.path, rows, "--precision", "bf16", "--quiet")
    assert json.loads(seen.out)["text"] == "zwei rote Schiffe"


def test_ctranslate2_writes_the_same(
    translator: hw.Run, workplace: Path, pair_files: dict[str, Path], told: Callable[..., Seen]
) -> None:
    texts = [source for source, _ in pairs(40, 4)]
    for precision in ("fp32", "int8"):
        compiled = hw.open_run(translator.path, engine="ctranslate2", precision=precision)
        assert compiled.translate(texts) == translator.translate(texts)
    rows = workplace / "compiled.jsonl"
    rows.write_text('{"en": "two red ships"}\n', encoding="utf-8")
    seen = told("", "translate", translator.path, rows, "--engine", "ctranslate2", "--quiet")
    assert json.loads(seen.out)["text"] == "zwei rote Schiffe"
    (written,) = compiled.translate(["two red ships"], Decoding(beam=3, prefix="drei"))
    assert written.startswith("drei ")
    judged = told(
        *("", "evaluate", translator.path, pair_files["test"], "--engine", "ctranslate2"),
        *("--precision", "auto", "--json", "--quiet"),
    )
    found = json.loads(judged.out)
    assert found["bleu"]["value"] > 80
    assert found["chrf"]["value"] > 80
    assert found["chrf_signature"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0")
    assert found["read_in"] == {"precision": "int8", "engine": "ctranslate2"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--engine", "ctranslate"), "ctranslate2"),
        (("--engine", "ctranslate2", "--precision", "bf16"), "choose fp32, int8, or auto"),
    ],
)
def test_an_engine_that_does_not_exist_is_refused(
    translator: hw.Run,
    pair_files: dict[str, Path],
    options: tuple[str, ...],
    reason: str,
    told: Callable[..., Seen],
) -> None:
    seen = told("", "translate", translator.path, pair_files["test"], *options, "--quiet")
    assert seen.code == 78
    assert reason in seen.err


@pytest.mark.parametrize(
    "asked",
    [
        ("predict",),
        ("embed",),
        ("evaluate",),
        ("translate",),
        ("generate",),
        ("search", "a query"),
    ],
)
def test_a_precision_that_does_not_exist_is_refused_by_every_verb_that_answers(
    translator: hw.Run, pair_files: dict[str, Path], asked: tuple[str, ...], told: Callable[..., Seen]
) -> None:
    verb, *query = asked
    seen = told("", verb, translator.path, pair_files["test"], *query, "--precision", "fp16", "--quiet")
    assert seen.code == 78
    assert "precision='fp16'; choose auto, fp32 or bf16" in seen.err
    seen = told("", verb, translator.path, pair_files["test"], *query, "--precision", "int8", "--quiet")
    assert seen.code == 78
    assert "--engine ctranslate2" in seen.err


def test_a_prefix_is_kept_and_gone_on_from(translator: hw.Run) -> None:
    (written,) = translator.translate(["two red ships"], Decoding(beam=3, prefix="drei"))
    assert written.startswith("drei ")
    (drawn,) = translator.translate(["two red ships"], Decoding(temperature=0.0, prefix="drei"))
    assert drawn.startswith("drei ")


def test_transformers_translates_the_same(translator: hw.Run) -> None:
    model: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(translator.path / "model").eval()
    words: Any = transformers.AutoTokenizer.from_pretrained(translator.path / "model")
    encoded = words(["two red ships", "one blue stones three green birds"], padding=True, return_tensors="pt")
    with torch.no_grad():
        found = model.generate(
            encoded["input_ids"], attention_mask=encoded["attention_mask"], max_new_tokens=40, do_sample=False
        )
    theirs = [text.strip() for text in words.batch_decode(found, skip_special_tokens=True)]
    ours = translator.translate(
        ["two red ships", "one blue stones three green birds"], Decoding(temperature=0.0)
    )
    assert theirs == [text.strip() for text in ours]


@pytest.mark.parametrize(
    ("size", "assign", "layout", "dropout"),
    [("paper_base", [], "marian", "dropout"), ("nano", ["model.layout=t5"], "t5", "dropout_rate")],
)
def test_a_model_is_made_by_the_name_of_its_size_or_layout(
    workplace: Path, pair_files: dict[str, Path], size: str, assign: list[str], layout: str, dropout: str
) -> None:
    run = hw.finetune(
        "scratch",
        pair_files["train"],
        task="translation",
        out=workplace / "written" / size,
        size=size,
        steps=2,
        assign=["model.width=32", "model.depth=1", "model.num_heads=2", *assign],
        quiet=True,
    )
    config = json.loads((run.path / "model" / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config[dropout]) == (layout, 0.1)
    assert len(run.translate(["two red ships"])) == 1


def test_rows_without_source_or_target_are_left_out_and_said(
    workplace: Path, told: Callable[..., Seen]
) -> None:
    path = workplace / "holes.tsv"
    rows = [("two red ships", ""), ("", "zwei"), *pairs(40, 5)]
    seen = told(
        "",
        "finetune",
        "scratch",
        write(path, rows),
        "--task",
        "translation",
        "--size",
        "nano",
        "--steps",
        "2",
        "--out",
        workplace / "written" / "holes",
    )
    assert seen.code == 0
    assert "2 of 42 rows left out" in seen.err


def test_an_encoder_cannot_be_fine_tuned_to_translate(
    pretrained: hw.Run, pair_files: dict[str, Path], told: Callable[..., Seen]
) -> None:
    seen = told("", "finetune", pretrained.path, pair_files["train"], "--task", "translation", "--quiet")
    assert seen.code == 78
    assert "has no decoder" in seen.err


def test_one_column_of_text_is_not_a_pair(workplace: Path, told: Callable[..., Seen]) -> None:
    path = workplace / "single.csv"
    path.write_text("text\n" + "a few words here\n" * 5, encoding="utf-8")
    seen = told("", "finetune", "scratch", path, "--task", "translation", "--quiet")
    assert seen.code == 65
    assert "--text SOURCE --label TARGET" in seen.err


@pytest.fixture(scope="session")
def decoder(workplace: Path, pair_files: dict[str, Path]) -> hw.Run:
    base = hw.pretrain(
        workplace / "notes.jsonl",
        objective="next_token",
        out=workplace / "written" / "base",
        size="nano",
        steps=8,
        assign=["training.length=64", "training.batch_tokens=512"],
        quiet=True,
    )
    return hw.finetune(
        base,
        pair_files["train"],
        task="translation",
        out=workplace / "written" / "decoder",
        validation=pair_files["valid"],
        steps=150,
        assign=SMALL,
        quiet=True,
    )


def test_a_decoder_learns_the_pair_by_writing_on_from_the_source(
    decoder: hw.Run, pair_files: dict[str, Path]
) -> None:
    report = decoder.evaluate(pair_files["test"])
    assert isinstance(report, TextReport)
    assert report.bleu.value > 40  # without training: 0


def test_a_decoder_that_was_taught_to_translate_translates_and_ends(decoder: hw.Run) -> None:
    (answer,) = decoder.generate(["two green ships"], Decoding(temperature=0.0))
    assert set(answer["text"].split()) <= set(WORDS.values())
    assert answer["ended"]
    (begun,) = decoder.generate(["two green ships"], Decoding(temperature=0.0, prefix="drei"))
    assert begun["text"].startswith("drei")
