"""How much of a model learns: all of it, its head, small corrections, or block by block."""

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

import headwater as hw
from headwater.data.tokenizer import Tokenizer
from headwater.models import load_bundle
from headwater.sequence import SequenceLayout


def tuned(workplace: Path, parent: hw.Run, adapt: str, **more: Any) -> hw.Run:
    return hw.finetune(
        parent,
        workplace / "train.csv",
        out=workplace / "adapted" / adapt,
        steps=12,
        adapt=adapt,
        quiet=True,
        **more,
    )


def weights(run: hw.Run) -> dict[str, torch.Tensor]:
    return load_bundle(run.path / "model").model.backbone.state_dict()


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_head_alone_learns(workplace: Path, pretrained: hw.Run) -> None:
    assert not moved(weights(pretrained), weights(tuned(workplace, pretrained, "head")))


def test_block_by_block_the_last_one_first(workplace: Path, pretrained: hw.Run) -> None:
    run = tuned(workplace, pretrained, "gradual")
    assert "embedding.tokens.weight" in moved(weights(pretrained), weights(run))


@pytest.fixture(scope="module")
def corrected(workplace: Path, pretrained: hw.Run) -> hw.Run:
    return tuned(workplace, pretrained, "lora", assign=["adapter.rank=4", "training.learning_rate=0.01"])


def test_corrections_are_merged_into_what_is_shipped(
    workplace: Path, pretrained: hw.Run, corrected: hw.Run
) -> None:
    changed = moved(weights(pretrained), weights(corrected))
    assert changed
    assert all(name.startswith("blocks.") and name.endswith(".weight") for name in changed)
    assert not any("norm" in name for name in changed)


# peft 0.21 asks transformers 5.23 by a name that is going away.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_loads_the_adapter_and_gives_the_same_logits(pretrained: hw.Run, corrected: hw.Run) -> None:
    labels = 3
    base: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
        pretrained.path / "model", num_labels=labels, classifier_pooling="mean"
    )
    theirs: Any = peft.PeftModel.from_pretrained(base, corrected.path / "adapter").eval()
    ours = load_bundle(corrected.path / "model").model.eval()
    tokenizer = Tokenizer.load(corrected.path / "model" / "tokenizer.json")
    (tokens,) = tokenizer.encode_batch(["the storm and the frost came early"])
    inputs = torch.tensor([[tokenizer.cls, *tokens.tolist(), tokenizer.sep]])
    layout = SequenceLayout.dense(*inputs.shape)
    with torch.no_grad():
        mine = ours.heads["classification"](ours.backbone(inputs, layout), layout)
        logits = theirs(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits
    torch.testing.assert_close(mine, logits, atol=1e-5, rtol=0)
