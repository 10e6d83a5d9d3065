"""ModernBERT here and in transformers: shared random weights, the same numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from headwater.errors import BadDataError
from headwater.models import Model, load_bundle
from headwater.models.layouts import PUBLISHED, SpecialTokens
from headwater.sequence import SequenceLayout

LENGTHS = torch.tensor([23, 14, 1])
LAYOUT = SequenceLayout.padded(LENGTHS, 23)
transformers.utils.logging.disable_progress_bar()


def config(**more: Any) -> transformers.ModernBertConfig:
    small: dict[str, Any] = {
        "vocab_size": 97,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "local_attention": 8,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "cls_token_id": 1,
        "sep_token_id": 2,
        "attn_implementation": "eager",
    }
    return transformers.ModernBertConfig(**small, **more)


def tokens() -> Tensor:
    drawn = torch.randint(4, 97, (3, 23), generator=torch.Generator().manual_seed(0))
    return drawn.masked_fill(~LAYOUT.real, 0)


def saved(kind: Any, folder: Path, **more: Any) -> Any:
    """A model of transformers with weights large enough for mistakes to show, saved by its own means."""
    torch.manual_seed(0)
    model = kind(config(**more)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return model


def loaded(folder: Path) -> tuple[Model, Tensor]:
    model = load_bundle(folder).model.eval()
    return model, model.backbone(tokens(), LAYOUT)


def reference(model: Any) -> Any:
    return model(input_ids=tokens(), attention_mask=LAYOUT.real.long())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"layer_types": ["full_attention"] * 5},
        {"norm_bias": True, "attention_bias": True, "mlp_bias": True},
        {"tie_word_embeddings": False},
    ],
    ids=["windows", "no windows", "biases", "untied"],
)
@torch.no_grad()
def test_masked_words_get_the_same_logits(tmp_path: Path, more: dict[str, Any]) -> None:
    theirs = saved(transformers.ModernBertForMaskedLM, tmp_path, **more)
    ours, states = loaded(tmp_path)
    logits = ours.heads["masked_tokens"](states[LAYOUT.real])
    torch.testing.assert_close(logits, reference(theirs).logits[LAYOUT.real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@torch.no_grad()
def test_classes_get_the_same_logits(tmp_path: Path, pooling: str) -> None:
    kind = transformers.ModernBertForSequenceClassification
    theirs = saved(kind, tmp_path, num_labels=3, classifier_pooling=pooling)
    ours, states = loaded(tmp_path)
    logits = ours.heads["classification"](states, LAYOUT)
    torch.testing.assert_close(logits, reference(theirs).logits, atol=1e-5, rtol=0)


@torch.no_grad()
def test_tags_get_the_same_logits(tmp_path: Path) -> None:
    theirs = saved(transformers.ModernBertForTokenClassification, tmp_path, num_labels=5)
    ours, states = loaded(tmp_path)
    logits = ours.heads["tagging"](states)
    torch.testing.assert_close(logits[LAYOUT.real], reference(theirs).logits[LAYOUT.real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_borders_of_answers_get_the_same_logits(tmp_path: Path) -> None:
    theirs = saved(transformers.ModernBertForQuestionAnswering, tmp_path)
    ours, states = loaded(tmp_path)
    logits = ours.heads["question_answering"](states)
    expected = torch.stack([reference(theirs).start_logits, reference(theirs).end_logits], dim=-1)
    torch.testing.assert_close(logits[LAYOUT.real], expected[LAYOUT.real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_model_without_a_head_has_the_same_hidden_states(tmp_path: Path) -> None:
    theirs = saved(transformers.ModernBertModel, tmp_path)
    ours, states = loaded(tmp_path)
    assert not ours.heads
    expected = reference(theirs).last_hidden_state
    torch.testing.assert_close(states[LAYOUT.real], expected[LAYOUT.real], atol=1e-5, rtol=0)


def test_one_loss_sends_every_weight_the_same_gradient(tmp_path: Path) -> None:
    theirs = saved(transformers.ModernBertForMaskedLM, tmp_path)
    ours, states = loaded(tmp_path)
    places = LAYOUT.real & (torch.arange(23) % 3 == 0)
    targets = tokens()[places]
    F.cross_entropy(ours.heads["masked_tokens"](states[places]), targets).backward()
    F.cross_entropy(reference(theirs).logits[places], targets).backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    bundle = load_bundle(tmp_path)
    head = bundle.model.head_settings["masked_tokens"]
    names = PUBLISHED["modernbert"].names(bundle.settings, head)
    published = {rename.ours: rename.published[0] for rename in names}
    found = dict(ours.named_parameters())
    assert set(found) == set(published)
    for name, parameter in found.items():
        gradient = expected[published[name]]
        scale = gradient.abs().max()
        torch.testing.assert_close(parameter.grad / scale, gradient / scale, atol=1e-5, rtol=0)


def test_the_older_words_of_a_config_mean_the_same(tmp_path: Path) -> None:
    saved(transformers.ModernBertForMaskedLM, tmp_path)
    layout = PUBLISHED["modernbert"]
    bundle = load_bundle(tmp_path)
    newer = layout.to_config(bundle.settings, None, SpecialTokens()) | {"model_type": "modernbert"}
    older = {name: value for name, value in newer.items() if name not in ("layer_types", "rope_parameters")}
    assert layout.from_config(older) == layout.from_config(newer) == bundle.settings


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_activation": "relu"}, "hidden_activation = 'relu'"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "run code"),
        ({"logit_softcapping": 30.0}, "logit_softcapping, unknown"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 4}}}, "scales its rotary"),
        ({"attention_bias": True}, "differ"),
        ({"classifier_bias": True}, "classifier_bias = True"),
        ({"num_hidden_layers": 10**12}, "within reason"),
        ({"layer_types": ["full_attention", "linear_attention"]}, "linear_attention"),
    ],
)
def test_a_config_that_means_something_else_is_refused(change: dict[str, Any], reason: str) -> None:
    layout = PUBLISHED["modernbert"]
    values = config().to_dict() | {"architectures": ["ModernBertForMaskedLM"]} | change
    with pytest.raises(BadDataError, match=reason):
        layout.from_config(values)
        layout.head_of(values)
