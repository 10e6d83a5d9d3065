"""An adapter under the names of a published layout, read by peft."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from headwater.data.tokenizer import Tokenizer
from headwater.models import (
    TransformerSettings,
    bert_settings,
    build_model,
    electra_settings,
    gpt2_settings,
    save_bundle,
)
from headwater.models.adapter_file import published_rows, save_adapter
from headwater.nn.adapters import adapt, corrections
from headwater.sequence import SequenceLayout

transformers.utils.logging.disable_progress_bar()
INPUTS = torch.randint(4, 300, (2, 9), generator=torch.Generator().manual_seed(0))
MODULES = {"bert": ["classifier", "pooler"], "electra": ["classifier"], "gpt2": ["score"]}


# peft 0.21 asks transformers 5.23 by a name that is going away.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("build", [bert_settings, electra_settings, gpt2_settings])
def test_peft_loads_an_adapter_and_gives_the_same_logits(
    tmp_path: Path, build: Callable[[str, int], TransformerSettings]
) -> None:
    settings = build("nano", 512)
    tokenizer = Tokenizer.learn(["a few words of text, and some more words of text"] * 3, 300)
    model = build_model(settings, head="classification", classes=3, seed=0).eval()
    save_bundle(tmp_path / "model", model, tokenizer, {})
    adapt(model.backbone, rank=3, alpha=6.0, rows=published_rows(model), seed=1)
    draws = torch.Generator().manual_seed(2)
    for correction in corrections(model.backbone).values():
        for up in correction.up:
            torch.nn.init.normal_(up, std=0.1, generator=draws)
    classifier = model.heads["classification"].get_parameter("classifier.weight")
    torch.nn.init.normal_(classifier, generator=draws)
    save_adapter(tmp_path / "adapter", model, rank=3, alpha=6.0, base=tmp_path / "model")

    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["modules_to_save"] == MODULES[settings.layout or ""]
    base: Any = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    theirs: Any = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    layout = SequenceLayout.dense(*INPUTS.shape)
    with torch.no_grad():
        mine = model.heads["classification"](model.backbone(INPUTS, layout), layout)
        logits = theirs(input_ids=INPUTS, attention_mask=torch.ones_like(INPUTS)).logits
    torch.testing.assert_close(mine, logits, atol=1e-5, rtol=1e-5)
