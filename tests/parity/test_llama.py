"""Llama here and in transformers: shared random weights, the same numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from headwater.errors import BadDataError
from headwater.models import load_bundle
from headwater.models.layouts import PUBLISHED
from headwater.sequence import SequenceLayout

LAYOUT = SequenceLayout.padded(torch.tensor([19, 8, 1]), 19)
transformers.utils.logging.disable_progress_bar()


def config(**more: Any) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        pad_token_id=0,
        **more,
    )


def tokens() -> Tensor:
    drawn = torch.randint(4, 97, (3, 19), generator=torch.Generator().manual_seed(0))
    return drawn.masked_fill(~LAYOUT.real, 0)


def saved(kind: Any, folder: Path, **more: Any) -> Any:
    torch.manual_seed(0)
    model = kind(config(**more)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"num_key_value_heads": 2},
        {"head_dim": 8, "tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}},
    ],
    ids=["plain", "grouped", "tied", "biases", "theta"],
)
@torch.no_grad()
def test_next_words_get_the_same_logits(tmp_path: Path, more: dict[str, Any]) -> None:
    theirs = saved(transformers.LlamaForCausalLM, tmp_path, **more)
    ours = load_bundle(tmp_path).model.eval()
    assert ours.backbone.reads == "past"
    logits = ours.heads["next_token"](ours.backbone(tokens(), LAYOUT)[LAYOUT.real])
    expected = theirs(input_ids=tokens(), attention_mask=LAYOUT.real.long()).logits
    torch.testing.assert_close(logits, expected[LAYOUT.real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_classes_get_the_same_logits(tmp_path: Path) -> None:
    theirs = saved(transformers.LlamaForSequenceClassification, tmp_path, num_labels=3)
    ours = load_bundle(tmp_path).model.eval()
    logits = ours.heads["classification"](ours.backbone(tokens(), LAYOUT), LAYOUT)
    expected = theirs(input_ids=tokens(), attention_mask=LAYOUT.real.long()).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_borders_of_answers_get_the_same_logits(tmp_path: Path) -> None:
    theirs = saved(transformers.LlamaForQuestionAnswering, tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    logits = ours.heads["question_answering"](ours.backbone(tokens(), LAYOUT))
    found = theirs(input_ids=tokens(), attention_mask=LAYOUT.real.long())
    expected = torch.stack([found.start_logits, found.end_logits], dim=-1)
    torch.testing.assert_close(logits[LAYOUT.real], expected[LAYOUT.real], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling"),
        ({"sliding_window": 128}, "sliding_window, unknown"),
        ({"architectures": ["MistralForCausalLM"]}, "MistralForCausalLM"),
    ],
)
def test_a_config_that_means_something_else_is_refused(change: dict[str, Any], reason: str) -> None:
    layout = PUBLISHED["llama"]
    values = config().to_dict() | {"architectures": ["LlamaForCausalLM"]} | change
    with pytest.raises(BadDataError, match=reason):
        layout.from_config(values)
        layout.head_of(values)
