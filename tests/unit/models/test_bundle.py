import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from headwater.data.sequencers import Patches
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError, SettingsError, StorageError
from headwater.models import (
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoderSettings,
    Model,
    PatchSettings,
    RecurrentSettings,
    bert_settings,
    build_model,
    decoder_settings,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
    load_bundle,
    paper_base,
    picture_settings,
    save_bundle,
    with_shares,
)
from headwater.models.layouts import PUBLISHED, layout_for
from headwater.models.sizes import PAIR_LAYOUTS
from headwater.sequence import SequenceLayout

transformers.utils.logging.disable_progress_bar()
LAYOUT = SequenceLayout.padded(torch.tensor([9, 4]), 9)
TOKENS = torch.randint(4, 300, (2, 9), generator=torch.Generator().manual_seed(0)).masked_fill(
    ~LAYOUT.real, 0
)
ENCODER = encoder_settings("nano", 512)
BERT, ELECTRA, GPT2 = bert_settings("nano", 512), electra_settings("nano", 512), gpt2_settings("nano", 512)
EUROBERT = replace(decoder_settings("nano", 512), causal=False, num_key_value_heads=2)
NATIVE: list[BackboneSettings] = [
    replace(ENCODER, positions="learned", max_length=64),
    replace(ENCODER, windows=(3, 5)),
    replace(ENCODER, attention="linear", windows=()),
    paper_base(512),
    replace(BERT, windows=(3, 5)),
    replace(GPT2, embedding_norm=True),
    RecurrentSettings(vocabulary_size=512, width=16, depth=2, hidden_width=12, attention="additive"),
    ConvolutionalSettings(vocabulary_size=512, width=16, depth=2, hidden_width=12),
]

HOMES: list[BackboneSettings] = [
    *(ENCODER, EUROBERT, BERT, ELECTRA, GPT2, decoder_settings("nano", 512)),
    *(encoder_decoder_settings("nano", 512, layout=layout) for layout in PAIR_LAYOUTS),
    picture_settings("nano", PatchSettings(rows=4, columns=4, side=4, channels=3)),
]
PATCHES = Patches(rows=4, columns=4, side=4, channels=3, mean=(0.5,) * 3, deviation=(0.2,) * 3)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(["a few words of text, and some more words of text"] * 3, 300)


def answers(model: Model) -> torch.Tensor:
    states = model.eval().backbone(TOKENS, LAYOUT)
    for name, head in model.heads.items():
        return head(states, LAYOUT) if name in ("classification", "regression") else head(states[LAYOUT.real])
    return states[LAYOUT.real]


def settings_and_heads() -> list[Any]:
    cases: list[tuple[str, BackboneSettings, str | None, dict[str, Any]]] = [
        ("ModernBertForMaskedLM", ENCODER, "masked_tokens", {}),
        (
            "ModernBertForSequenceClassification",
            ENCODER,
            "classification",
            {"classes": 3, "pooling": "first"},
        ),
        ("ModernBertForSequenceClassification", ENCODER, "regression", {}),
        ("ModernBertForSequenceClassification", ENCODER, "regression", {"classes": 3}),
        ("ModernBertForTokenClassification", ENCODER, "tagging", {"classes": 5}),
        ("ModernBertForQuestionAnswering", ENCODER, "question_answering", {}),
        ("ModernBertModel", ENCODER, None, {}),
        ("EuroBertForMaskedLM", EUROBERT, "masked_tokens", {}),
        ("EuroBertForSequenceClassification", EUROBERT, "classification", {"classes": 3, "pooling": "late"}),
        ("LlamaForCausalLM", decoder_settings("nano", 512), "next_token", {}),
        ("LlamaForSequenceClassification", decoder_settings("nano", 512), "classification", {"classes": 3}),
        ("LlamaForQuestionAnswering", decoder_settings("nano", 512), "question_answering", {}),
        ("BertModel", BERT, None, {}),
        ("BertForMaskedLM", BERT, "masked_tokens", {}),
        ("BertForSequenceClassification", BERT, "classification", {"classes": 3}),
        ("BertForSequenceClassification", BERT, "regression", {}),
        ("BertForTokenClassification", BERT, "tagging", {"classes": 5}),
        ("BertForQuestionAnswering", BERT, "question_answering", {}),
        ("ElectraModel", ELECTRA, None, {}),
        ("ElectraForMaskedLM", ELECTRA, "masked_tokens", {}),
        ("ElectraForMaskedLM", ELECTRA, "masked_tokens", {"tied": False}),
        ("ElectraForPreTraining", replace(ELECTRA, embedding_width=24), "replaced_token", {}),
        ("ElectraForSequenceClassification", ELECTRA, "classification", {"classes": 3, "pooling": "first"}),
        ("ElectraForTokenClassification", ELECTRA, "tagging", {"classes": 5}),
        ("ElectraForQuestionAnswering", ELECTRA, "question_answering", {}),
        ("GPT2Model", GPT2, None, {}),
        ("GPT2LMHeadModel", GPT2, "next_token", {}),
        ("GPT2LMHeadModel", GPT2, "next_token", {"tied": False}),
        ("GPT2ForSequenceClassification", GPT2, "classification", {"classes": 3}),
        ("GPT2ForTokenClassification", GPT2, "tagging", {"classes": 5}),
        ("GPT2ForQuestionAnswering", GPT2, "question_answering", {}),
    ]
    return [pytest.param(*case, id=f"{case[0]} {case[2]}") for case in cases]


@pytest.mark.parametrize(("architecture", "settings", "head", "options"), settings_and_heads())
@torch.no_grad()
def test_a_shipped_model_loads_here_and_in_transformers(
    tmp_path: Path,
    tokenizer: Tokenizer,
    architecture: str,
    settings: BackboneSettings,
    head: str | None,
    options: dict[str, Any],
) -> None:
    model = build_model(settings, head=head, seed=0, **options)
    save_bundle(tmp_path / "model", model, tokenizer, {"task": head})
    torch.testing.assert_close(answers(load_bundle(tmp_path / "model").model), answers(model), atol=0, rtol=0)

    theirs, account = getattr(transformers, architecture).from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not account["missing_keys"] and not account["unexpected_keys"] and not account["mismatched_keys"]
    output = theirs.eval()(input_ids=TOKENS, attention_mask=LAYOUT.real.long())
    found = published_answer(output, head)
    expected = answers(model)
    found = found if head in ("classification", "regression") else found[LAYOUT.real]
    torch.testing.assert_close(found.view(expected.shape), expected, atol=1e-5, rtol=0)


def published_answer(output: Any, head: str | None) -> torch.Tensor:
    if head == "question_answering":
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output.last_hidden_state if head is None else output.logits


@torch.no_grad()
def test_a_layout_without_a_head_for_questions_is_left_for_our_own(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    model = build_model(EUROBERT, head="question_answering", seed=0)
    save_bundle(tmp_path / "model", model, tokenizer, {})
    assert json.loads((tmp_path / "model/config.json").read_text())["model_type"] == "headwater_transformer"
    torch.testing.assert_close(answers(load_bundle(tmp_path / "model").model), answers(model), atol=0, rtol=0)


@pytest.mark.parametrize("settings", NATIVE)
@torch.no_grad()
def test_what_no_published_layout_can_say_is_shipped_in_our_own(
    tmp_path: Path, tokenizer: Tokenizer, settings: BackboneSettings
) -> None:
    model = build_model(settings, head="classification", classes=2, seed=0)
    save_bundle(tmp_path / "model", model, tokenizer, {"labels": ["no", "yes"]})
    bundle = load_bundle(tmp_path / "model")
    assert bundle.settings == settings
    assert json.loads((tmp_path / "model/config.json").read_text())["model_type"].startswith("headwater_")
    torch.testing.assert_close(answers(bundle.model), answers(model), atol=0, rtol=0)


def test_a_card_comes_back_and_the_labels_stand_in_the_config(tmp_path: Path, tokenizer: Tokenizer) -> None:
    model = build_model(ENCODER, head="classification", classes=2, seed=0)
    save_bundle(
        tmp_path / "model", model, tokenizer, {"task": "classification", "labels": ["schlecht", "gut"]}
    )
    assert load_bundle(tmp_path / "model").card["labels"] == ["schlecht", "gut"]
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["id2label"] == {"0": "schlecht", "1": "gut"}


@pytest.mark.parametrize("settings", HOMES, ids=lambda settings: layout_for(settings, None).model_type)
def test_what_is_left_out_in_training_is_said_anew_in_every_layout(
    tmp_path: Path, tokenizer: Tokenizer, settings: BackboneSettings
) -> None:
    sequencer = PATCHES if settings.patches else tokenizer
    shares = {"dropout": 0.1, "attention_dropout": 0.3, "stochastic_depth": 0.2}
    asked = with_shares(settings, shares)
    assert layout_for(asked, None) == layout_for(settings, None)
    model = build_model(settings, seed=0)
    save_bundle(tmp_path / "before", model, sequencer, {})
    told = load_bundle(tmp_path / "before", shares)
    assert told.settings == asked != settings
    save_bundle(tmp_path / "after", told.model, sequencer, {})  # no config.json has words for all of them
    again = load_bundle(tmp_path / "after")
    assert again.settings == asked
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


@pytest.mark.parametrize("settings", NATIVE[-2:], ids=["recurrent", "convolutional"])
def test_a_baseline_keeps_the_dropout_that_it_began_with(settings: BackboneSettings) -> None:
    assert with_shares(settings, {}) == settings
    with pytest.raises(SettingsError, match=r"model\.dropout does not fit: .* no Transformer"):
        with_shares(settings, {"dropout": 0.1})


@pytest.mark.parametrize(
    "settings", [ENCODER, BERT, ELECTRA, GPT2], ids=["modernbert", "bert", "electra", "gpt2"]
)
def test_the_shipped_tokenizer_loads_in_transformers(
    tmp_path: Path, tokenizer: Tokenizer, settings: BackboneSettings
) -> None:
    save_bundle(tmp_path / "model", build_model(settings, seed=0), tokenizer, {})
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "some words of text"
    assert theirs(text)["input_ids"][1:-1] == tokenizer.encode_batch([text])[0].tolist()
    assert theirs.mask_token_id == tokenizer.mask
    assert theirs.pad_token_id == tokenizer.pad


def test_tied_weights_are_written_once(tmp_path: Path, tokenizer: Tokenizer) -> None:
    save_bundle(tmp_path / "model", build_model(ENCODER, head="masked_tokens", seed=0), tokenizer, {})
    tensors = load_file(tmp_path / "model/model.safetensors")
    assert "decoder.weight" not in tensors
    assert [name for name, tensor in tensors.items() if tensor.shape == (512, 128)] == [
        "model.embeddings.tok_embeddings.weight"
    ]


def shipped(folder: Path, tokenizer: Tokenizer) -> Path:
    save_bundle(folder / "model", build_model(ENCODER, head="masked_tokens", seed=0), tokenizer, {})
    return folder / "model"


def test_every_tensor_is_accounted_for(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = shipped(tmp_path, tokenizer)
    tensors = load_file(folder / "model.safetensors")
    tensors["stranger"] = torch.ones(1)
    tensors["head.norm.weight"] = torch.ones(3)
    del tensors["model.final_norm.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BadDataError) as raised:
        load_bundle(folder)
    for complaint in (
        "missing: model.final_norm.weight",
        "unexpected: stranger",
        "misshapen: head.norm.weight (3,) instead of (128,)",
    ):
        assert complaint in str(raised.value)


def test_a_repeated_tied_matrix_must_repeat_the_same_numbers(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = shipped(tmp_path, tokenizer)
    tensors = load_file(folder / "model.safetensors")
    tensors["decoder.weight"] = tensors["model.embeddings.tok_embeddings.weight"].clone()
    save_file(tensors, folder / "model.safetensors")
    card = json.loads((folder / "headwater.json").read_text())
    del card["weights"]  # what the error says to do where the change is one's own
    (folder / "headwater.json").write_text(json.dumps(card))
    load_bundle(folder)
    tensors["decoder.weight"][7, 7] += 1
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BadDataError, match=r"decoder\.weight differs"):
        load_bundle(folder)


def test_one_flipped_bit_in_the_weights_is_noticed(tmp_path: Path, tokenizer: Tokenizer) -> None:
    weights = shipped(tmp_path, tokenizer) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-40] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(BadDataError, match="is not what was shipped"):
        load_bundle(weights.parent)


def test_a_config_changed_by_hand_is_noticed(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = shipped(tmp_path, tokenizer)
    config = json.loads((folder / "config.json").read_text()) | {"local_attention": 16}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadDataError, match="describe different models"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope_parameters", "x"),
        ("norm_eps", "small"),
        ("layer_types", 3),
        ("architectures", 5),
        ("id2label", 1),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(
    tmp_path: Path, tokenizer: Tokenizer, key: str, value: object
) -> None:
    folder = shipped(tmp_path, tokenizer)
    (folder / "headwater.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["ModernBertForSequenceClassification"]} | {key: value}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadDataError):
        load_bundle(folder)


def test_another_family_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlnet"}')
    with pytest.raises(BadDataError, match="modernbert, eurobert, llama, bert, electra, gpt2"):
        load_bundle(tmp_path)


def test_a_model_is_shipped_with_one_head_and_a_vocabulary_that_fits(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    model = build_model(ENCODER, head="masked_tokens", seed=0)
    model.add_head("classification", classes=2)
    with pytest.raises(SettingsError, match="holds one head"):
        save_bundle(tmp_path / "model", model, tokenizer, {})
    small = build_model(replace(ENCODER, vocabulary_size=64), seed=0)
    with pytest.raises(SettingsError, match="ship the tokenizer that the model was trained with"):
        save_bundle(tmp_path / "model", small, tokenizer, {})


def test_a_failed_write_leaves_what_stood_there(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shipped(tmp_path, tokenizer)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headwater.models.bundle._sync", full)
    with pytest.raises(StorageError, match="No space left"):
        save_bundle(folder, build_model(ENCODER, seed=1), tokenizer, {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def attending_by_sums(settings: BackboneSettings) -> BackboneSettings:
    if isinstance(settings, EncoderDecoderSettings):
        halves = (
            replace(half, attention="linear", attention_scale=None, positions="none", attention_dropout=0.0)
            for half in (settings.encoder, settings.decoder)
        )
        return EncoderDecoderSettings.of(*halves)
    return replace(settings, attention="linear", windows=(), attention_dropout=0.0)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("settings", HOMES, ids=lambda settings: layout_for(settings, None).model_type)
def test_no_published_layout_is_taken_for_a_model_that_attends_by_sums(settings: BackboneSettings) -> None:
    home = layout_for(settings, None)
    assert home.model_type in PUBLISHED
    assert layout_for(attending_by_sums(settings), None).model_type not in PUBLISHED
    if not isinstance(settings, EncoderDecoderSettings):
        assert home.refusal(attending_by_sums(settings), None) == "attention is 'linear', not 'softmax'"
