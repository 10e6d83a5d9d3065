"""A model that reads the past: pre-trained, asked to write, opened elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import headwater as hw
from headwater.run.generating import Decoding
from tests.end_to_end.conftest import Seen


@pytest.fixture(scope="session")
def author(workplace: Path, cache: object) -> hw.Run:
    return hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "written" / "author",
        objective="next_token",
        size="nano",
        steps=150,
        assign=["training.length=64", "training.batch_tokens=512"],
        quiet=True,
    )


def test_the_held_out_loss_is_told_in_bits_per_byte_too(author: hw.Run) -> None:
    evaluation = author.summary.evaluation
    assert 0 < evaluation["bits_per_byte"] < 4  # the notes are three frames filled with a few words
    assert evaluation["loss"] == pytest.approx(evaluation["next_token"])


@torch.no_grad()
def test_evaluate_says_what_texts_cost_the_model_as_transformers_counts_it(
    author: hw.Run, tmp_path: Path
) -> None:
    texts = ["the rain came early and the river stayed until the evening", "nobody had seen the boat near"]
    texts.append(" ".join(texts * 12))  # longer than the 64 tokens that the model reads
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = author.evaluate(tmp_path / "asked.jsonl").to_dict()
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(author.path / "model").eval()
    words = transformers.AutoTokenizer.from_pretrained(author.path / "model")
    nats, tokens = 0.0, 0
    for text in texts:
        inside = words(text, add_special_tokens=False)["input_ids"]
        judged_to = 0
        while judged_to <= len(inside):
            start = max(0, judged_to - 31) if judged_to else 0
            window = torch.tensor([words.convert_tokens_to_ids("[CLS]"), *inside[start : start + 62]])
            whole = [*window.tolist(), words.convert_tokens_to_ids("[SEP]")]
            costs = -model(window[None]).logits[0].log_softmax(-1).gather(1, torch.tensor(whole[1:])[:, None])
            ends = start + 62 >= len(inside)
            nats += float(costs[judged_to - start : None if ends else -1].sum())
            tokens += len(inside) + 1 - judged_to if ends else start + 62 - judged_to
            judged_to = len(inside) + 1 if ends else start + 62
    assert found["tokens"] == tokens
    assert found["nats_per_token"]["value"] == pytest.approx(nats / tokens, rel=1e-4)
    assert found["perplexity"]["low"] < found["perplexity"]["value"] < found["perplexity"]["high"]


def test_a_text_goes_on_as_the_notes_do(author: hw.Run) -> None:
    (written,) = author.generate(["the rain came early and the"], Decoding(temperature=0.0, max_tokens=40))
    assert "stayed until the" in written["text"]
    assert written["ended"]


def test_transformers_writes_the_same_words(author: hw.Run) -> None:
    prompt = "nobody had seen the boat near"
    (ours,) = author.generate([prompt], Decoding(temperature=0.0, max_tokens=12))
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(author.path / "model").eval()
    words = transformers.AutoTokenizer.from_pretrained(author.path / "model")
    tokens = torch.tensor([words("[CLS]" + prompt, add_special_tokens=False)["input_ids"]])
    found = model.generate(tokens, max_new_tokens=12, do_sample=False)
    theirs = words.decode(found[0, tokens.shape[1] :], skip_special_tokens=True)
    assert theirs == ours["text"]


def test_pieces_of_a_stream_make_the_same_text(author: hw.Run) -> None:
    decoding = Decoding(temperature=0.9, seed=4, max_tokens=30)
    (whole,) = author.generate(["the storm"], decoding)
    assert "".join(author.stream("the storm", decoding)) == whole["text"]


def test_another_engine_streams_the_same_text(author: hw.Run) -> None:
    likeliest = Decoding(temperature=0.0, max_tokens=20)
    pieces = list(hw.open_run(author, engine="ctranslate2").stream("the rain came", likeliest))
    assert len(pieces) > 1
    assert "".join(pieces) == "".join(author.stream("the rain came", likeliest))


def test_the_command_line_writes_to_a_prompt_to_rows_and_as_a_stream(
    author: hw.Run, workplace: Path, told: Callable[..., Seen]
) -> None:
    greedy = ("--temperature", "0", "--max-tokens", "20", "--quiet")
    one = told("", "generate", author.path, "--prompt", "the rain", *greedy, "--json", "--samples", "2")
    texts = [found["text"] for found in json.loads(one.out)["texts"]]
    assert len(texts) == 2
    assert texts[0] == texts[1]
    streamed = told("", "generate", author.path, "--prompt", "the rain", *greedy, "--stream")
    assert streamed.out == f"the rain{texts[0]}\n"
    rows = workplace / "prompts.jsonl"
    rows.write_text('{"text": "the rain"}\n{"text": "we talked about"}\n', encoding="utf-8")
    answers = told("", "generate", author.path, rows, *greedy).out.splitlines()
    assert json.loads(answers[0])["text"] == texts[0]
    assert len(answers) == 2
    searched = told("", "generate", author.path, "--prompt", "the rain", "--beam", "3", "--json", "--quiet")
    assert json.loads(searched.out)["texts"][0]["score"] < 0


def test_a_stop_string_ends_the_text_before_it(author: hw.Run) -> None:
    for decoding in (
        Decoding(stop=(" until",), temperature=0.0),
        Decoding(stop=(" until",), beam=2),
    ):
        (written,) = author.generate(["the rain came early and the"], decoding)
        assert written["text"].endswith("stayed")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected one of three: --prompt TEXT"),
        (("--prompt", "a", "--beam", "3", "--top-k", "4"), "beam search draws nothing"),
        (("--prompt", "a", "--beam", "3", "--stream"), "knows its text only at the end"),
        (("--prompt", "a", "--stream", "--json"), "leave --stream or --json out"),
        (("--prompt", "a", "--stream", "--samples", "3"), "leave --stream or --samples out"),
        (("--prompt", "a", "--beam", "2", "--samples", "3"), "leave --samples or --beam out"),
        (("prompts.jsonl", "--stream"), "leave --stream out, or ask with --prompt"),
        (("prompts.jsonl", "--samples", "3"), "leave --samples out, or ask with --prompt"),
        (("--prompt", "a", "--stream", "--engine", "ctranslate2", "--min-p", "0.1"), "knows no min_p"),
        (("--prompt", "a", "--temperature", "-1"), "temperature = -1"),
        (("--prompt", "a", "--max-tokens", "0"), "max_tokens = 0"),
        (("--prompt", "a", "--engine", "ctranslate2", "--min-p", "0.1"), "knows no min_p"),
        (("--out", "no.png", "--engine", "ctranslate2"), "--engine is for texts"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    author: hw.Run, told: Callable[..., Seen], arguments: tuple[str, ...], words: str
) -> None:
    seen = told("", "generate", author.path, *arguments)
    assert (seen.code, seen.out) == (2, "")
    assert words in seen.err


def test_a_prompt_that_is_too_long_costs_no_other(
    workplace: Path, told: Callable[..., Seen], tmp_path: Path
) -> None:
    short = hw.pretrain(
        workplace / "notes.jsonl",
        out=tmp_path / "run",
        objective="next_token",
        size="nano",
        steps=2,
        assign=["model.layout=gpt2", "training.length=32", "training.batch_tokens=256"],
        quiet=True,
    )
    rows = "\n".join(["the rain", "the rain and the wind " * 700, "the soup"])
    asked = ("--max-tokens", "8", "--temperature", "0", "--quiet")
    seen = told("a prompt that is too long", "generate", short.path, "-", *asked, stdin=rows.encode())
    answers = [json.loads(line) for line in seen.out.splitlines()]
    assert seen.code == 65
    assert [("text" in answer) for answer in answers] == [True, False, True]
    assert "positions that the model has learnt" in answers[1]["error"]
    assert "1 of 3 rows left out: 1 prompt too long" in seen.err


def test_a_masked_language_model_says_that_it_cannot_write(
    pretrained: hw.Run, told: Callable[..., Seen]
) -> None:
    seen = told("", "generate", pretrained.path, "--prompt", "the")
    assert seen.code == 2
    assert "--objective next_token" in seen.err
