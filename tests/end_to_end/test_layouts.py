"""A layout chosen by name: pre-trained from random weights, opened elsewhere, fine-tuned, opened again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import headwater as hw
from headwater.data.tokenizer import Tokenizer
from headwater.models import load_bundle
from headwater.run.generating import Decoding
from headwater.sequence import SequenceLayout
from tests.end_to_end.conftest import Seen

transformers.utils.logging.disable_progress_bar()
SHORT = ["training.length=64", "training.batch_tokens=512"]
CHOICES = {
    "bert": ("masked_tokens", "BertForMaskedLM", "BertForSequenceClassification"),
    "electra": ("replaced_token", "ElectraForPreTraining", "ElectraForSequenceClassification"),
    "gpt2": ("next_token", "GPT2LMHeadModel", "GPT2ForSequenceClassification"),
    "eurobert": ("masked_tokens", "EuroBertForMaskedLM", "EuroBertForSequenceClassification"),
}


@pytest.fixture(scope="module")
def trained(workplace: Path) -> Callable[[str], hw.Run]:
    """The run of a layout, trained when it is first asked for."""
    runs: dict[str, hw.Run] = {}

    def run_of(layout: str) -> hw.Run:
        if layout not in runs:
            runs[layout] = hw.pretrain(
                workplace / "notes.jsonl",
                out=workplace / "layouts" / layout,
                objective=CHOICES[layout][0],
                size="nano",
                steps=6,
                assign=[*SHORT, f"model.layout={layout}"],
                quiet=True,
            )
        return runs[layout]

    return run_of


def opened(folder: Path, kind: str) -> Any:
    """The class of transformers that the folder is for, with every weight found in it and none left."""
    model, account = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True)
    assert not any(account[keys] for keys in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def inputs_of(folder: Path, text: str) -> torch.Tensor:
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    (tokens,) = tokenizer.encode_batch([text])
    return torch.tensor([[tokenizer.cls, *tokens.tolist(), tokenizer.sep]])


@pytest.mark.parametrize("layout", CHOICES)
def test_what_was_trained_opens_elsewhere_with_the_same_numbers(
    layout: str, trained: Callable[[str], hw.Run]
) -> None:
    folder = trained(layout).path / "model"
    model = load_bundle(folder).model.eval()
    inputs = inputs_of(folder, "the storm and the frost came early")
    (head,) = model.heads.values()
    theirs = opened(folder, CHOICES[layout][1])
    with torch.no_grad():
        answers = head(model.backbone(inputs, SequenceLayout.dense(*inputs.shape)))
        logits = theirs(input_ids=inputs).logits
    torch.testing.assert_close(answers.view(logits.shape), logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layout", CHOICES)
def test_it_learns_labels_and_answers_as_it_does_elsewhere(
    layout: str, trained: Callable[[str], hw.Run], workplace: Path
) -> None:
    out = workplace / "layouts" / f"{layout}-labels"
    run = hw.finetune(trained(layout), workplace / "train.csv", out=out, steps=4, quiet=True)
    (answer,) = run.predict(["the storm and the frost came early"])
    theirs = opened(run.path / "model", CHOICES[layout][2])
    inputs = inputs_of(run.path / "model", "the storm and the frost came early")
    with torch.no_grad():
        shares = theirs(input_ids=inputs).logits.softmax(-1)[0]
    expected = {theirs.config.id2label[number]: float(share) for number, share in enumerate(shares)}
    assert answer["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_transformers_writes_the_same_words(trained: Callable[[str], hw.Run]) -> None:
    folder = trained("gpt2").path / "model"
    prompt = "nobody had seen the boat near"
    (ours,) = trained("gpt2").generate([prompt], Decoding(temperature=0.0, max_tokens=12))
    tokens = inputs_of(folder, prompt)[:, :-1]
    found = opened(folder, "GPT2LMHeadModel").generate(tokens, max_new_tokens=12, do_sample=False)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    assert words.decode(found[0, tokens.shape[1] :], skip_special_tokens=True) == ours["text"]


def test_a_detector_goes_on_where_it_was(trained: Callable[[str], hw.Run], workplace: Path) -> None:
    again = hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "layouts" / "electra-again",
        objective="replaced_token",
        start_from=trained("electra").path,
        steps=1,
        assign=[*SHORT, "training.learning_rate=1e-9"],
        quiet=True,
    )
    before, after = (
        load_bundle(run.path / "model").model.heads["replaced_token"].state_dict()
        for run in (trained("electra"), again)
    )
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, atol=1e-6, rtol=0)


def test_windows_longer_than_the_usual_positions_get_more_of_them(workplace: Path) -> None:
    run = hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "layouts" / "long",
        size="nano",
        steps=1,
        assign=["training.length=600", "training.batch_tokens=600", "model.layout=bert"],
        quiet=True,
    )
    settings: Any = load_bundle(run.path / "model").settings
    assert settings.max_length == 600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "model.layout=gpt2"), "reads the past alone, and a model is needed that reads both sides"),
        (("--set", "model.layout=bert", "--objective", "next_token"), "choose llama or gpt2"),
        (
            ("--set", "model.layout=bert", "--objective", "denoising"),
            "choose m2m_100 or marian or bart or t5",
        ),
        (("--set", "model.layout=brt"), "expected modernbert or eurobert or bert"),
        (("--set", "model.layout=bert", "--set", "model.backbone=recurrent"), "is a Transformer's"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(
    workplace: Path, told: Callable[..., Seen], arguments: tuple[str, ...], words: str
) -> None:
    out = workplace / "layouts" / "refused"
    seen = told("", "pretrain", workplace / "notes.jsonl", "--out", out, "--quiet", *arguments)
    assert seen.code == 78
    assert words in seen.err
