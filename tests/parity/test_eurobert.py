"""EuroBERT here and in transformers: shared random weights, the same numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from headwater.models import load_bundle
from headwater.sequence import SequenceLayout

LAYOUT = SequenceLayout.padded(torch.tensor([19, 8, 1]), 19)
transformers.utils.logging.disable_progress_bar()


def tokens() -> Tensor:
    drawn = torch.randint(4, 97, (3, 19), generator=torch.Generator().manual_seed(0))
    return drawn.masked_fill(~LAYOUT.real, 0)


def saved(kind: Any, folder: Path, **more: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.EuroBertConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        mask_token_id=3,
        **more,
    )
    model = kind(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return model


def reference(model: Any) -> Tensor:
    return model(input_ids=tokens(), attention_mask=LAYOUT.real.long()).logits


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_masked_words_get_the_same_logits(tmp_path: Path, tied: bool) -> None:
    theirs = saved(transformers.EuroBertForMaskedLM, tmp_path, tie_word_embeddings=tied)
    ours = load_bundle(tmp_path).model.eval()
    assert ours.backbone.reads == "both"
    logits = ours.heads["masked_tokens"](ours.backbone(tokens(), LAYOUT)[LAYOUT.real])
    torch.testing.assert_close(logits, reference(theirs)[LAYOUT.real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["late", "mean", "bos"])
@torch.no_grad()
def test_classes_get_the_same_logits(tmp_path: Path, pooling: str) -> None:
    kind = transformers.EuroBertForSequenceClassification
    theirs = saved(kind, tmp_path, num_labels=4, classifier_pooling=pooling)
    ours = load_bundle(tmp_path).model.eval()
    logits = ours.heads["classification"](ours.backbone(tokens(), LAYOUT), LAYOUT)
    torch.testing.assert_close(logits, reference(theirs), atol=1e-5, rtol=0)


@torch.no_grad()
def test_tags_get_the_same_logits(tmp_path: Path) -> None:
    theirs = saved(transformers.EuroBertForTokenClassification, tmp_path, num_labels=4)
    ours = load_bundle(tmp_path).model.eval()
    logits = ours.heads["tagging"](ours.backbone(tokens(), LAYOUT))
    torch.testing.assert_close(logits[LAYOUT.real], reference(theirs)[LAYOUT.real], atol=1e-5, rtol=0)
