"""What people do next: learnt from a table of events, asked about the last events, answered with ten items."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

import headwater as hw
from headwater.data.readers.histories import items_in, read_histories
from headwater.evaluation.metrics.ranking import RankingReport
from headwater.run.labelled import LabelledData
from headwater.run.settings import DataSettings
from tests.end_to_end.conftest import Seen

RINGS, AROUND = 3, 12
QUICK = ["machine.threads=1", "training.length=16", "training.batch_rows=16"]
Row = tuple[str, str, int]


def walks(count: int, seed: int) -> list[Row]:
    """Every user goes around one of three rings, an item at a time; rows in no order."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for user in range(count):
        ring, first = rng.integers(RINGS), rng.integers(AROUND)
        rows += [
            (f"u{user}", f"{ring}-{(first + step) % AROUND}", 1_000_000_000 + 60 * step + user)
            for step in range(rng.integers(4, 9))
        ]
    return [rows[place] for place in rng.permutation(len(rows))]


def write(path: Path, rows: list[Row], header: str = "userId,movieId,timestamp") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def events(workplace: Path) -> Path:
    return write(workplace / "events.csv", walks(120, 1))


@pytest.fixture(scope="module")
def recommender(workplace: Path, events: Path) -> hw.Run:
    return hw.finetune(
        "scratch",
        events,
        task="recommendation",
        out=workplace / "recommended" / "rings",
        steps=120,
        assign=QUICK,
        quiet=True,
    )


def test_what_comes_next_is_found(recommender: hw.Run, events: Path) -> None:
    report = recommender.evaluate(events)
    assert isinstance(report, RankingReport)
    assert report.users == 120
    assert report.model.ndcg_10.value > 0.9
    popularity, neighbours = report.baselines
    assert neighbours.name.startswith("item-item")
    assert popularity.ndcg_10.value < 0.3 < neighbours.ndcg_10.value


def test_fine_tuning_ends_with_the_test_that_it_held_out(recommender: hw.Run, events: Path) -> None:
    assert recommender.summary.test == recommender.evaluate(events).to_dict()
    assert "held-out test: hr_10" in str(recommender)
    assert recommender.summary.evaluation["ndcg_10"] > 0.9
    kept = recommender.evaluate(recommender.path / "histories.jsonl")
    assert kept.to_dict() == recommender.summary.test


def test_the_last_two_events_of_a_user_are_not_learnt(events: Path) -> None:
    data = LabelledData.read(DataSettings(paths=(str(events),)), "recommendation")
    whole = [items_in(example.text) for example in read_histories(events).examples]
    assert [items_in(example.text) for example in data.train.examples] == [h[:-2] for h in whole]
    assert data.validation is not None
    assert data.test is not None
    assert [items_in(example.text) for example in data.validation.examples] == [h[:-1] for h in whole]
    assert [items_in(example.text) for example in data.test.examples] == whole


def test_short_histories_are_never_asked_about_what_was_learnt(tmp_path: Path) -> None:
    lengths = {"one": 1, "two": 2, "three": 3, "four": 4}
    rows = [(user, "abcd"[place], place) for user, length in lengths.items() for place in range(length)]
    path = write(tmp_path / "short.csv", rows)
    data = LabelledData.read(DataSettings(paths=(str(path),)), "recommendation")
    assert [example.text for example in data.train.examples] == ["a", "a", "a", "a b"]
    assert data.validation is not None
    assert [example.text for example in data.validation.examples] == ["a b", "a b c"]


def test_a_validation_file_leaves_one_more_event_to_learn_from(events: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.csv", walks(10, 2))
    data = LabelledData.read(DataSettings(paths=(str(events),), validation=str(other)), "recommendation")
    whole = [items_in(example.text) for example in read_histories(events).examples]
    assert [items_in(example.text) for example in data.train.examples] == [h[:-1] for h in whole]
    assert data.validation is not None
    assert len(data.validation) == 10


def test_a_history_is_answered_with_ten_items_that_it_does_not_hold(recommender: hw.Run) -> None:
    answers = recommender.predict(["1-3 1-4 1-5", '["0-11"]', "[]", "2-1 nobody-had-this 2-2"])
    assert [answer["items"][0]["item"] for answer in answers[:2]] == ["1-6", "0-0"]
    for answer in answers:
        assert len(answer["items"]) == 10
        shares = [item["probability"] for item in answer["items"]]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1.0
    assert not {"1-3", "1-4", "1-5"} & {item["item"] for item in answers[0]["items"]}
    assert [answer.get("unknown") for answer in answers] == [None, None, None, 1]


def test_rows_of_json_are_answered_line_by_line(recommender: hw.Run, told: Callable[..., Seen]) -> None:
    stdin = b'{"items": ["1-3", "1-4"]}\n0-1 0-2\n{"films": []}\n'
    seen = told("", "predict", recommender.path, "-", "--json", "--quiet", stdin=stdin)
    rows = [json.loads(line) for line in seen.out.splitlines()]
    assert [row["items"][0]["item"] for row in rows[:2]] == ["1-5", "0-3"]
    assert "no text column" in rows[2]["error"]
    assert seen.code == 65


def test_a_table_of_events_is_answered_user_by_user(
    recommender: hw.Run, events: Path, told: Callable[..., Seen]
) -> None:
    seen = told("", "predict", recommender.path, events)
    answers = [json.loads(line) for line in seen.out.splitlines()]
    histories = read_histories(events).examples
    assert [answer["user"] for answer in answers] == [history.owner for history in histories]
    alone = recommender.predict([history.text for history in histories[:3]])
    assert [answer["items"][0]["item"] for answer in answers[:3]] == [
        one["items"][0]["item"] for one in alone
    ]


def test_transformers_recommends_the_same(recommender: hw.Run) -> None:
    model = LlamaForCausalLM.from_pretrained(recommender.path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(recommender.path / "model")
    history = ["1-3", "1-4", "1-5"]
    (answer,) = recommender.predict([" ".join(history)])
    tokens = tokenizer(" ".join(history), return_tensors="pt")["input_ids"][:, :-1]  # without [SEP]
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0, -1]
    logits[[*range(5), *tokens[0].tolist()]] = -torch.inf
    probabilities = logits.softmax(0)
    best = probabilities.topk(10)
    assert tokenizer.convert_ids_to_tokens(best.indices.tolist()) == [row["item"] for row in answer["items"]]
    assert [row["probability"] for row in answer["items"]] == pytest.approx(best.values.tolist(), abs=2e-6)


def test_long_histories_are_read_from_their_end(recommender: hw.Run) -> None:
    long = [f"0-{step % AROUND}" for step in range(40)] + ["2-4", "2-5"]
    (answer,) = recommender.predict([" ".join(long)])
    assert answer["items"][0]["item"] == "2-6"


def test_items_have_vectors(recommender: hw.Run) -> None:
    same, other = recommender.embed(["1-3 1-4", '["1-3", "1-4"]']), recommender.embed(["2-3"])
    np.testing.assert_allclose(same[0], same[1])
    assert np.abs(same[0] - other[0]).max() > 1e-3


def test_a_recommender_is_taught_more_with_the_items_it_knows(recommender: hw.Run, workplace: Path) -> None:
    more = write(workplace / "more.csv", [*walks(20, 3), ("u1", "new", 2_000_000_000)])
    again = hw.finetune(
        recommender,
        more,
        task="recommendation",
        out=workplace / "recommended" / "again",
        steps=2,
        assign=QUICK,
        quiet=True,
    )
    assert again.summary.test is not None
    assert again.summary.test["items"] == RINGS * AROUND
    assert again.summary.test["not_learnt"] == 1


def test_new_users_are_asked_beside_baselines_of_the_run(recommender: hw.Run, workplace: Path) -> None:
    report = recommender.evaluate(write(workplace / "new.csv", walks(15, 4)))
    assert isinstance(report, RankingReport)
    assert (report.users, len(report.baselines)) == (15, 2)


def test_without_its_histories_a_run_is_judged_alone_and_says_so(
    recommender: hw.Run, workplace: Path, events: Path, told: Callable[..., Seen]
) -> None:
    seen = told("", "evaluate", recommender.path / "model", events)
    assert seen.code == 66  # a model folder is no run
    kept = recommender.path / "histories.jsonl"
    aside = kept.rename(kept.with_suffix(".aside"))
    try:
        seen = told("", "evaluate", recommender.path, events)
    finally:
        aside.rename(kept)
    assert seen.code == 0
    assert "popularity and item-item cannot be counted" in seen.err
    assert "item-item, last" not in seen.out


@pytest.mark.parametrize(
    ("rows", "header", "sentence"),
    [
        ([("ann", "7", 1), ("ann", "9", 2), ("ann", "3", 3)], "user,item,time", "the events of one user"),
        ([("a", "7", 1), ("a", "7", 3), ("b", "7", 2)], "user,item,time", "name one item, 7"),
        ([("a", "7", 1), ("b", "9", 2)], "user,item,time", "every user has one event"),
        ([("a", "7", 1), ("b", "9", 2)], "who,item,time", "no column is named like user"),
        ([("a", "7", 1), ("b", "9", 2)], "user,item,rank", "no column is named like time"),
    ],
)
def test_tables_that_say_nothing_are_refused_with_a_remedy(
    tmp_path: Path, told: Callable[..., Seen], rows: list[Row], header: str, sentence: str
) -> None:
    path, out = write(tmp_path / "poor.csv", rows, header), tmp_path / "poor"
    seen = told("", "finetune", "scratch", path, "--task", "recommendation", "--out", out, "--quiet")
    assert seen.code == 65
    assert sentence in seen.err
    assert "--text USER,ITEM,TIME" in seen.err
    assert not out.exists()


def test_a_resumed_run_recommends_bit_for_bit_the_same(events: Path, tmp_path: Path) -> None:
    runs = [
        hw.finetune(
            "scratch",
            events,
            task="recommendation",
            out=tmp_path / name,
            steps=6,
            assign=[*QUICK, "training.checkpoint_steps=2"],
            quiet=True,
        )
        for name in ("whole", "cut")
    ]
    shutil.rmtree(runs[1].path / "model")
    for checkpoint in sorted((runs[1].path / "checkpoints").glob("step-*"))[1:]:
        shutil.rmtree(checkpoint)
    hw.resume(runs[1], quiet=True)
    weights = [(run.path / "model" / "model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    assert runs[0].summary.test == runs[1].summary.test


def test_items_never_seen_are_refused(recommender: hw.Run, tmp_path: Path, told: Callable[..., Seen]) -> None:
    path = write(tmp_path / "strange.csv", [("a", "x", 1), ("a", "y", 2), ("b", "z", 3)])
    seen = told("", "evaluate", recommender.path, path, "--quiet")
    assert seen.code == 65
    assert "the model knows no item of these histories (the first: x, y)" in seen.err


def test_a_model_of_texts_is_no_start(pretrained: hw.Run, events: Path, told: Callable[..., Seen]) -> None:
    seen = told("", "finetune", pretrained.path, events, "--task", "recommendation", "--quiet")
    assert seen.code == 78
    assert "start from 'scratch'" in seen.err
