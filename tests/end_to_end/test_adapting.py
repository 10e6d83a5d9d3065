"""How much of a model learns: all of it, its head, small corrections, or block by block."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

import headwater as hw
from headwater.data.sequencers import Patches
from headwater.data.tokenizer import Tokenizer
from headwater.models import load_bundle
from headwater.run.starting import sequencer_of
from headwater.sequence import Batch, SequenceLayout
from tests.end_to_end.conftest import sentences


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


def theirs(kind: Any, base: hw.Run, run: hw.Run) -> Any:
    """The parent as transformers loads it, with the adapter that peft puts on it."""
    return peft.PeftModel.from_pretrained(
        kind.from_pretrained(base.path / "model"), run.path / "adapter"
    ).eval()


def adapter_config(run: hw.Run) -> dict[str, Any]:
    return json.loads((run.path / "adapter" / "adapter_config.json").read_text())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("task", ["retrieval", "similarity"])
def test_peft_loads_what_was_learnt_of_vectors_onto_the_body(
    workplace: Path, pretrained: hw.Run, tmp_path: Path, task: str
) -> None:
    rows = [
        {"a": text, "b": f"a word about {label}", "score": number / 20}
        for number, (text, label) in enumerate(sentences(20, 5))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns: dict[str, Any] = (
        {"text": ["a", "b"], "label": "score"} if task == "similarity" else {"text": "a", "label": "b"}
    )
    run = hw.finetune(
        pretrained,
        tmp_path / "rows.jsonl",
        task=task,
        out=tmp_path / "run",
        steps=12,
        adapt="lora",
        assign=["training.learning_rate=0.01"],
        quiet=True,
        **columns,
    )
    assert adapter_config(run)["task_type"] == "FEATURE_EXTRACTION"
    base: Any = transformers.AutoModel.from_pretrained(pretrained.path / "model")
    ours = load_bundle(run.path / "model").model.eval()
    tokens = torch.arange(4, 20)[None]
    with torch.no_grad():
        mine = ours.backbone(tokens, SequenceLayout.dense(*tokens.shape))
        before = base.eval()(input_ids=tokens).last_hidden_state
        found = theirs(transformers.AutoModel, pretrained, run)(input_ids=tokens).last_hidden_state
    assert (mine - before).abs().max() > 1e-3
    torch.testing.assert_close(mine, found, atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
# transformers 5 writes T5's tie_word_embeddings as true whether or not its output matrix is its own.
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.parametrize("layout", ["m2m_100", "bart", "marian", "t5"])
def test_peft_loads_a_translator_as_one(workplace: Path, tmp_path: Path, layout: str) -> None:
    parent = hw.pretrain(
        workplace / "notes.jsonl",
        objective="denoising",
        out=tmp_path / "parent",
        size="nano",
        steps=3,
        assign=["training.length=64", "training.batch_tokens=512", f"model.layout={layout}"],
        quiet=True,
    )
    pairs = "".join(f"{text}\t{text[::-1]}\n" for text, _ in sentences(40, 6))
    (tmp_path / "pairs.tsv").write_text("one\tother\n" + pairs)
    run = hw.finetune(
        parent,
        tmp_path / "pairs.tsv",
        task="translation",
        text="one",
        label="other",
        out=tmp_path / "run",
        steps=6,
        adapt="lora",
        assign=["training.learning_rate=0.01"],
        quiet=True,
    )
    assert adapter_config(run)["task_type"] == "SEQ_2_SEQ_LM"
    ours = load_bundle(run.path / "model").model.eval()
    source, target = torch.arange(5, 11)[None], torch.tensor([[1, 20, 21, 22]])
    batch = Batch(
        source,
        SequenceLayout.dense(1, 6),
        torch.zeros(1, dtype=torch.long),
        targets=target,
        target_layout=SequenceLayout.dense(1, 4),
    )
    with torch.no_grad():
        mine = ours.heads["next_token"](ours.decode(batch))
        found = theirs(transformers.AutoModelForSeq2SeqLM, parent, run)(
            input_ids=source, attention_mask=torch.ones_like(source), decoder_input_ids=target
        ).logits
    torch.testing.assert_close(mine, found, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def squares(workplace: Path) -> Path:
    """Little pictures, light ones and dark ones."""
    folder = workplace / "adapted-squares"
    rng = np.random.default_rng(0)
    for kind, lowest in (("dark", 0), ("light", 128)):
        (folder / kind).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(lowest, lowest + 128, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    return folder


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_loads_the_body_of_a_picture_classifier_and_its_head_lies_beside(
    squares: Path, tmp_path: Path
) -> None:
    few = ["training.batch_rows=16", "training.learning_rate=0.01"]
    parent = hw.pretrain(squares, out=tmp_path / "parent", size="nano", steps=3, assign=few, quiet=True)
    run = hw.finetune(
        parent, squares, out=tmp_path / "run", steps=6, adapt="lora", assign=few[1:], quiet=True
    )
    bundle = load_bundle(run.path / "model")
    ours, patches = bundle.model.eval(), sequencer_of(bundle)
    assert isinstance(patches, Patches)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    rows, layout = patches.sequences(pixels)
    channels = patches.joined(patches.patched(pixels))
    head = load_file(run.path / "adapter" / "head.safetensors")
    with torch.no_grad():
        mine = ours.heads["classification"](ours.backbone(rows, layout), layout)
        states = theirs(transformers.AutoModel, parent, run)(pixel_values=channels).last_hidden_state
        read = torch.cat((states[:, 0], states[:, 1:].mean(1)), -1)
        found = read @ head["classifier.weight"].T + head["classifier.bias"]
    torch.testing.assert_close(mine, found, atol=1e-5, rtol=1e-5)
    assert "head.safetensors" in (run.path / "adapter" / "README.md").read_text()
