"""BERT, ELECTRA and GPT-2 here and in transformers: shared random weights, the same numbers, the same texts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from headwater.errors import BadDataError
from headwater.models import Model, load_bundle
from headwater.models.generation import Ending, Prompt, Sampling, write
from headwater.models.layouts import PUBLISHED, from_published
from headwater.sequence import SequenceLayout

LAYOUT = SequenceLayout.padded(torch.tensor([19, 8, 1]), 19)
transformers.utils.logging.disable_progress_bar()

BODY: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
}
GPT2: dict[str, Any] = {
    "vocab_size": 97,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "bert": (transformers.BertConfig, BODY),
    "electra": (transformers.ElectraConfig, {**BODY, "embedding_size": 48}),
    "gpt2": (transformers.GPT2Config, GPT2),
}


def tokens() -> Tensor:
    drawn = torch.randint(4, 97, (3, 19), generator=torch.Generator().manual_seed(0))
    return drawn.masked_fill(~LAYOUT.real, 0)


def saved(name: str, folder: Path, **more: Any) -> Any:
    """A model of transformers with weights large enough for mistakes to show, saved by its own means.

    Norms keep their scale near 1: behind each update they would else leave all tokens alike.
    """
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    config, usual = FAMILIES[kind.config_class.model_type]
    model = kind(config(**{**usual, **more})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    return model


def answers(model: Model) -> Tensor:
    """Of the one head: a row of answers a document, or one a real token."""
    states = model.backbone(tokens(), LAYOUT)
    ((name, head),) = model.heads.items()
    return head(states, LAYOUT) if name in ("classification", "regression") else head(states[LAYOUT.real])


def reference(model: Any, **more: Any) -> Tensor:
    output = model(input_ids=tokens(), attention_mask=LAYOUT.real.long(), **more)
    return output.logits if "logits" in output else torch.stack([output.start_logits, output.end_logits], -1)


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "BERT, hidden words": ("BertForMaskedLM", "masked_tokens", {}),
    "BERT, classes": ("BertForSequenceClassification", "classification", {"num_labels": 4}),
    "BERT, tags": ("BertForTokenClassification", "tagging", {"num_labels": 4}),
    "BERT, borders of answers": ("BertForQuestionAnswering", "question_answering", {}),
    "BERT, a number": (
        "BertForSequenceClassification",
        "regression",
        {"num_labels": 1, "problem_type": "regression"},
    ),
    "ELECTRA, hidden words": ("ElectraForMaskedLM", "masked_tokens", {}),
    "ELECTRA, its own output matrix": ("ElectraForMaskedLM", "masked_tokens", {"tie_word_embeddings": False}),
    "ELECTRA, a narrow table": ("ElectraForMaskedLM", "masked_tokens", {"embedding_size": 20}),
    "ELECTRA, replaced words": ("ElectraForPreTraining", "replaced_token", {}),
    "ELECTRA, borders of answers": ("ElectraForQuestionAnswering", "question_answering", {}),
    "ELECTRA, classes": ("ElectraForSequenceClassification", "classification", {"num_labels": 4}),
    "ELECTRA, tags and a narrow table": (
        "ElectraForTokenClassification",
        "tagging",
        {"num_labels": 4, "embedding_size": 20},
    ),
    "GPT-2, next words": ("GPT2LMHeadModel", "next_token", {}),
    "GPT-2, its own output matrix": ("GPT2LMHeadModel", "next_token", {"tie_word_embeddings": False}),
    "GPT-2, a width and an activation": (
        "GPT2LMHeadModel",
        "next_token",
        {"n_inner": 80, "activation_function": "relu"},
    ),
    "GPT-2, borders of answers": ("GPT2ForQuestionAnswering", "question_answering", {}),
    "GPT-2, classes": ("GPT2ForSequenceClassification", "classification", {"num_labels": 4}),
    "GPT-2, tags": ("GPT2ForTokenClassification", "tagging", {"num_labels": 4}),
}


@pytest.mark.parametrize(("kind", "head", "more"), CASES.values(), ids=CASES)
@torch.no_grad()
def test_the_same_answers(tmp_path: Path, kind: str, head: str, more: dict[str, Any]) -> None:
    theirs = saved(kind, tmp_path, **more)
    ours = load_bundle(tmp_path).model.eval()
    assert list(ours.heads) == [head]
    expected = reference(theirs)
    if head not in ("classification", "regression"):
        expected = expected[LAYOUT.real].view(int(LAYOUT.real.sum()), -1)
    torch.testing.assert_close(answers(ours), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["BertModel", "ElectraModel", "GPT2Model"])
@torch.no_grad()
def test_a_model_without_a_head_has_the_same_hidden_states(tmp_path: Path, kind: str) -> None:
    theirs = saved(kind, tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    assert not ours.heads
    states = ours.backbone(tokens(), LAYOUT)
    expected = theirs(input_ids=tokens(), attention_mask=LAYOUT.real.long()).last_hidden_state
    torch.testing.assert_close(states[LAYOUT.real], expected[LAYOUT.real], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("BertForMaskedLM", {}),
        ("ElectraForMaskedLM", {"embedding_size": 20}),
        ("ElectraForPreTraining", {}),
        ("GPT2LMHeadModel", {}),
    ],
)
def test_one_loss_sends_every_weight_the_same_gradient(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    theirs = saved(kind, tmp_path, **more)
    bundle = load_bundle(tmp_path)
    bundle.model.eval()
    direction = torch.randn(28, 97, generator=torch.Generator().manual_seed(1))
    answer = answers(bundle.model)
    (answer * direction[:, : answer.shape[1]]).sum().backward()
    logits = reference(theirs)[LAYOUT.real].view(answer.shape)
    (logits * direction[:, : answer.shape[1]]).sum().backward()
    head = next(iter(bundle.model.head_settings.values()))
    names = PUBLISHED[theirs.config.model_type].names(bundle.settings, head)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    expected = from_published(gradients, names)
    found = dict(bundle.model.named_parameters())
    assert set(found) == set(expected)
    for name, parameter in found.items():
        scale = expected[name].abs().max()
        assert scale > 0
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad / scale, expected[name] / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize("root", ["bert", "electra"])
@torch.no_grad()
def test_both_texts_of_a_pair_carry_the_vector_of_the_first(tmp_path: Path, root: str) -> None:
    kind = {"bert": "BertForMaskedLM", "electra": "ElectraForMaskedLM"}[root]
    theirs = saved(kind, tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    second = torch.arange(19).expand(3, 19) > 9
    with_first = reference(theirs, token_type_ids=torch.zeros(3, 19, dtype=torch.long))
    with_second = reference(theirs, token_type_ids=second.long())
    assert (with_first - with_second).abs().max() > 0.1
    torch.testing.assert_close(answers(ours), with_first[LAYOUT.real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_greedy_texts_are_those_of_transformers(tmp_path: Path) -> None:
    theirs = saved("GPT2LMHeadModel", tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    prompts = [row[real].numpy() for row, real in zip(tokens(), LAYOUT.real, strict=True)]
    ending = Ending(end=2, padding=0, most=14, pieces=[b"a"] * 97)
    found: list[list[int]] = [[], [], []]
    for written in write(ours, [Prompt(tokens) for tokens in prompts], Sampling(temperature=0.0), ending):
        if written.token is not None:
            found[written.item].append(written.token)
    for prompt, text in zip(prompts, found, strict=True):
        begun = torch.from_numpy(prompt)[None]
        whole = theirs.generate(
            begun, attention_mask=torch.ones_like(begun), max_new_tokens=14, do_sample=False
        )
        assert text == [token for token in whole[0, len(prompt) :].tolist() if token != 2]
        assert len(set(text)) > 3  # no text stays at one word, so that a mistake would show


def changed(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def test_what_older_files_hold_besides_is_passed_over(tmp_path: Path) -> None:
    theirs = saved("GPT2LMHeadModel", tmp_path)

    def age(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for number in range(3):
            tensors[f"h.{number}.attn.bias"] = torch.ones(1, 1, 32, 32).tril()

    changed(tmp_path, age)
    ours = load_bundle(tmp_path).model.eval()
    torch.testing.assert_close(answers(ours), reference(theirs)[LAYOUT.real], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kind", "again", "original"),
    [
        ("BertForMaskedLM", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
        ("BertForMaskedLM", "cls.predictions.decoder.bias", "cls.predictions.bias"),
        ("ElectraForMaskedLM", "generator_lm_head.weight", "electra.embeddings.word_embeddings.weight"),
        ("GPT2LMHeadModel", "lm_head.weight", "transformer.wte.weight"),
    ],
)
def test_a_tied_tensor_may_be_repeated_with_the_same_numbers(
    tmp_path: Path, kind: str, again: str, original: str
) -> None:
    saved(kind, tmp_path)
    changed(tmp_path, lambda tensors: tensors.update({again: tensors[original].clone()}))
    load_bundle(tmp_path)
    changed(tmp_path, lambda tensors: tensors.update({again: tensors[original] + 1}))
    with pytest.raises(BadDataError, match=f"{again} differs from {original}"):
        load_bundle(tmp_path)


def test_a_model_without_a_head_may_lack_the_pooler(tmp_path: Path) -> None:
    saved("BertModel", tmp_path)
    with_pooler = load_bundle(tmp_path).model.state_dict()

    def leave_out(tensors: dict[str, Tensor]) -> None:
        for end in ("weight", "bias"):
            del tensors[f"pooler.dense.{end}"]

    changed(tmp_path, leave_out)
    without = load_bundle(tmp_path).model.state_dict()
    assert all(torch.equal(without[name], tensor) for name, tensor in with_pooler.items())


TYPES = "bert.embeddings.token_type_embeddings.weight"


@pytest.mark.parametrize(
    ("kind", "tensor", "shape", "complaint"),
    [
        ("BertForMaskedLM", TYPES, None, f"missing: {TYPES}"),
        ("BertForMaskedLM", TYPES, (3, 48), rf"{TYPES} \(3, 48\) instead of \(2, 48\)"),
        ("BertForMaskedLM", "cls.seq_relationship.weight", (2, 48), "unexpected: cls.seq_relationship"),
        ("BertForMaskedLM", "bert.pooler.dense.bias", (48,), "unexpected: bert.pooler.dense.bias"),
        ("BertForSequenceClassification", "bert.pooler.dense.bias", None, "missing: bert.pooler.dense.bias"),
        ("ElectraForPreTraining", "generator_lm_head.bias", (97,), "unexpected: generator_lm_head.bias"),
        (
            "ElectraForPreTraining",
            "discriminator_predictions.dense_prediction.weight",
            (2, 48),
            r"\(2, 48\) instead of \(1, 48\)",
        ),
        ("GPT2LMHeadModel", "transformer.h.0.attn.c_attn.weight", (144, 48), r"instead of \(48, 144\)"),
        ("GPT2LMHeadModel", "transformer.h.1.attn.c_attn.bias", None, "missing: transformer.h.1.attn.c_attn"),
    ],
)
def test_every_tensor_is_accounted_for(
    tmp_path: Path, kind: str, tensor: str, shape: tuple[int, ...] | None, complaint: str
) -> None:
    saved(kind, tmp_path)

    def change(tensors: dict[str, Tensor]) -> None:
        tensors.pop(tensor, None)
        if shape is not None:
            tensors[tensor] = torch.ones(shape)

    changed(tmp_path, change)
    with pytest.raises(BadDataError, match=complaint):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("BertForMaskedLM", {"hidden_act": "silu"}, "hidden_act = 'silu'"),
        ("BertForMaskedLM", {"position_embedding_type": "relative_key"}, "relative_key"),
        ("BertForMaskedLM", {"is_decoder": True}, "is_decoder = True"),
        ("BertForMaskedLM", {"type_vocab_size": 4}, "type_vocab_size = 4"),
        ("BertForMaskedLM", {"tie_word_embeddings": False}, "tie_word_embeddings = False"),
        ("BertForMaskedLM", {"architectures": ["BertForPreTraining"]}, "BertForPreTraining"),
        ("ElectraForMaskedLM", {"embedding_size": 0}, "embedding_size = 0"),
        ("ElectraForMaskedLM", {"strange": 1}, "strange, unknown"),
        ("GPT2LMHeadModel", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("GPT2LMHeadModel", {"activation_function": "silu"}, "activation_function = 'silu'"),
        ("GPT2LMHeadModel", {"n_ctx": 12}, "n_ctx = 12"),
        ("GPT2LMHeadModel", {"n_layer": 10**12}, "beyond what this program will allocate|within reason"),
        ("GPT2LMHeadModel", {"resid_pdrop": 1.5}, "not a probability"),
    ],
)
def test_a_config_that_means_something_else_is_refused(
    tmp_path: Path, kind: str, change: dict[str, Any], reason: str
) -> None:
    saved(kind, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(BadDataError, match=reason):
        load_bundle(tmp_path)
