"""Marian, M2M-100, BART and T5 here and in transformers: shared random weights, the same numbers, the same texts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError
from headwater.models import (
    EncoderDecoderSettings,
    Model,
    build_model,
    encoder_decoder_settings,
    load_bundle,
    save_bundle,
)
from headwater.models.generation import BeamSearch, Ending, Prompt, Sampling, write
from headwater.models.layouts import PUBLISHED
from headwater.models.sizes import PairLayout
from headwater.sequence import Batch, SequenceLayout

SOURCE = SequenceLayout.padded(torch.tensor([11, 4, 1]), 11)
TARGET = SequenceLayout.padded(torch.tensor([7, 9, 2]), 9)
transformers.utils.logging.disable_progress_bar()
KINDS: dict[str, tuple[Any, Any]] = {
    "marian": (transformers.MarianConfig, transformers.MarianMTModel),
    "m2m_100": (transformers.M2M100Config, transformers.M2M100ForConditionalGeneration),
    "bart": (transformers.BartConfig, transformers.BartForConditionalGeneration),
    "t5": (transformers.T5Config, transformers.T5ForConditionalGeneration),
}
PAPER_SIZE = {
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 80,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 64,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "forced_eos_token_id": None,
}
# transformers 5.23 keeps as many caches as the encoder has blocks, so a deeper decoder cannot write there.
T5_SIZE = {"num_layers": 3, "num_decoder_layers": 2, "num_heads": 4, "d_kv": 10, "d_ff": 80}
V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


class Case(NamedTuple):
    """A model of transformers; ``untied`` gives it an output matrix of its own."""

    kind: str
    more: dict[str, Any]
    untied: bool = False


CASES = {
    "marian": Case("marian", {"activation_function": "relu", "scale_embedding": False}),
    "marian, scaled": Case("marian", {"activation_function": "gelu", "scale_embedding": True}),
    "m2m_100": Case("m2m_100", {"scale_embedding": True}),
    "m2m_100, plain": Case("m2m_100", {"scale_embedding": False}),
    "bart": Case("bart", {}),
    "bart, scaled": Case("bart", {"activation_function": "relu", "scale_embedding": True}),
    "t5 1.0": Case("t5", {}),
    "t5 1.1": Case("t5", V1_1, untied=True),
    "t5 1.1, tied": Case("t5", V1_1),
    "t5, few buckets": Case(
        "t5",
        {
            "feed_forward_proj": "gated-silu",
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 6,
        },
    ),
}


def config(kind: str, **more: Any) -> Any:
    values: dict[str, Any] = {
        "vocab_size": 97,
        "d_model": 48,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
        **(T5_SIZE if kind == "t5" else PAPER_SIZE),
    }
    return KINDS[kind][0](**(values | more))


def spread(model: Any, kind: str) -> Any:
    """Weights that no two words share, of a size at which words differ clearly; norms near 1."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if kind == "bart" or "embed_positions" not in name:  # elsewhere they are computed
                nn.init.normal_(tensor, mean=float("norm" in name and "weight" in name), std=0.2)
    return model.eval()


def saved(case: Case, folder: Path, **more: Any) -> Any:
    model = KINDS[case.kind][1](config(case.kind, **(case.more | more)))
    if case.untied:
        model.lm_head.weight = nn.Parameter(torch.empty_like(model.shared.weight))
    spread(model, case.kind).save_pretrained(folder)
    return model


def tokens(layout: SequenceLayout, seed: int) -> Tensor:
    drawn = torch.randint(4, 97, tuple(layout.positions.shape), generator=torch.Generator().manual_seed(seed))
    return drawn.masked_fill(~layout.real, 0)


def our_logits(model: Model) -> Tensor:
    batch = Batch(tokens(SOURCE, 0), SOURCE, torch.arange(3), targets=tokens(TARGET, 1), target_layout=TARGET)
    model.eval()
    return model.heads["next_token"](model.decode(batch)[TARGET.real])


def their_logits(model: Any) -> Tensor:
    found = model.eval()(
        input_ids=tokens(SOURCE, 0),
        attention_mask=SOURCE.real.long(),
        decoder_input_ids=tokens(TARGET, 1),
        decoder_attention_mask=TARGET.real.long(),
    )
    return found.logits[TARGET.real]


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_the_words_of_a_target_get_the_same_logits(tmp_path: Path, name: str) -> None:
    theirs = their_logits(saved(CASES[name], tmp_path))
    assert theirs.std() > 0.1
    torch.testing.assert_close(our_logits(load_bundle(tmp_path).model), theirs, atol=1e-5, rtol=1e-6)


def prompts() -> list[Prompt]:
    rows = zip(tokens(SOURCE, 0)[:2], SOURCE.real[:2], strict=True)
    return [Prompt(np.array([1]), row[real].numpy()) for row, real in rows]


def written_there(model: Any, **how: Any) -> list[list[int]]:
    """No word comes twice: tied random weights like best what they have just written."""
    found = model.generate(
        tokens(SOURCE, 0)[:2],
        attention_mask=SOURCE.real[:2].long(),
        max_new_tokens=8,
        do_sample=False,
        no_repeat_ngram_size=1,
        renormalize_logits=True,  # as here: what is forbidden has no part in the probabilities
        **how,
    )
    texts = [row[1 : row.index(2) if 2 in row else None] for row in found.tolist()]
    assert max(map(len, texts)) > 4
    return texts


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_beams_find_what_the_beams_of_transformers_find(tmp_path: Path, name: str) -> None:
    theirs = saved(CASES[name], tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    # Without a length penalty both rank by the plain sum of log probabilities.
    search = BeamSearch(beams=4, length_penalty=0.0, rules=Sampling(no_repeat_ngram=1))
    found = search.search(ours, prompts(), end=2, padding=0, most=8)
    expected = written_there(theirs, num_beams=4, length_penalty=0.0, early_stopping="never")
    assert [list(hypotheses[0].tokens) for hypotheses in found] == expected


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cached", [True, False])
@torch.no_grad()
def test_the_most_probable_words_are_those_of_transformers(tmp_path: Path, name: str, cached: bool) -> None:
    theirs = saved(CASES[name], tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    ending = Ending(end=2, padding=0, most=8, pieces=[b""] * 97)
    texts: list[list[int]] = [[], []]
    for item, token, _, _ in write(ours, prompts(), Sampling(no_repeat_ngram=1), ending):
        texts[item] += [token] if token is not None else []
    assert texts == written_there(theirs, use_cache=cached)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(["some words to learn a vocabulary from"] * 4, 280)


def opened_there(kind: Any, folder: Path) -> Any:
    """The model that transformers makes of a folder, which holds what it looks for and nothing else."""
    model, account = kind.from_pretrained(folder, output_loading_info=True)
    assert not account["missing_keys"] and not account["unexpected_keys"] and not account["mismatched_keys"]
    return model.eval()


@pytest.mark.parametrize(
    ("size", "layout", "options"),
    [
        ("paper_base", "marian", {}),
        ("nano", "marian", {}),
        ("nano", "m2m_100", {}),
        ("nano", "bart", {}),
        ("nano", "t5", {}),
        ("nano", "t5", {"tied": True, "scale": 128**-0.5}),
        ("nano", "t5", {"tied": True}),
    ],
)
@torch.no_grad()
def test_a_model_made_here_opens_there(
    tmp_path: Path, tokenizer: Tokenizer, size: str, layout: PairLayout, options: dict[str, Any]
) -> None:
    settings = encoder_decoder_settings(size, tokenizer.size, layout=layout)
    model = build_model(settings, head="next_token", seed=0, **options).eval()
    save_bundle(tmp_path / "model", model, tokenizer, {"task": "translation"})
    theirs = opened_there(transformers.AutoModelForSeq2SeqLM, tmp_path / "model")
    assert type(theirs) is KINDS[layout][1]
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=0)
    again = load_bundle(tmp_path / "model")
    assert again.settings == settings
    assert isinstance(again.settings, EncoderDecoderSettings)
    torch.testing.assert_close(our_logits(again.model), our_logits(model), atol=0, rtol=0)
    (tmp_path / "model" / "headwater.json").unlink()  # as somebody else would find it
    bare = load_bundle(tmp_path / "model").model
    assert bare.head_settings == model.head_settings
    torch.testing.assert_close(our_logits(bare), our_logits(model), atol=0, rtol=0)


@pytest.mark.parametrize(("layout", "kind"), [("bart", "BartModel"), ("t5", "T5Model")])
@torch.no_grad()
def test_a_model_without_a_head_opens_there(
    tmp_path: Path, tokenizer: Tokenizer, layout: PairLayout, kind: str
) -> None:
    model = build_model(encoder_decoder_settings("nano", tokenizer.size, layout=layout), seed=0).eval()
    save_bundle(tmp_path / "model", model, tokenizer, {})
    theirs = opened_there(getattr(transformers, kind), tmp_path / "model")
    found = theirs.encoder(input_ids=tokens(SOURCE, 0), attention_mask=SOURCE.real.long()).last_hidden_state
    for mine in (model, load_bundle(tmp_path / "model").model.eval()):
        states = mine.backbone(tokens(SOURCE, 0), SOURCE)
        torch.testing.assert_close(states[SOURCE.real], found[SOURCE.real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_an_encoder_alone_goes_there_and_back(tmp_path: Path, tokenizer: Tokenizer) -> None:
    theirs = spread(transformers.T5EncoderModel(config("t5", vocab_size=300, **V1_1)), "t5")
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_bundle(tmp_path / "theirs").model.eval()
    save_bundle(tmp_path / "ours", ours, tokenizer, {})
    back = opened_there(transformers.T5EncoderModel, tmp_path / "ours")
    states = ours.backbone(tokens(SOURCE, 0), SOURCE)[SOURCE.real]
    for model in (theirs, back):
        found = model(input_ids=tokens(SOURCE, 0), attention_mask=SOURCE.real.long()).last_hidden_state
        torch.testing.assert_close(states, found[SOURCE.real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_a_folder_made_there_is_written_again_as_it_was(
    tmp_path: Path, tokenizer: Tokenizer, name: str
) -> None:
    saved(CASES[name], tmp_path / "theirs", vocab_size=300)
    save_bundle(tmp_path / "ours", load_bundle(tmp_path / "theirs").model, tokenizer, {})
    before, after = (load_file(tmp_path / whose / "model.safetensors") for whose in ("theirs", "ours"))
    assert set(after) == {tensor for tensor in before if "embed_positions" not in tensor or "bart" in name}
    assert all(torch.equal(after[tensor], before[tensor]) for tensor in after)


@pytest.mark.parametrize("name", ["bart", "t5 1.0", "t5 1.1"])
def test_every_tensor_is_accounted_for(tmp_path: Path, name: str) -> None:
    saved(CASES[name], tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    missing = next(tensor for tensor in tensors if tensor.endswith(("v.weight", "v_proj.weight")))
    misshapen = next(
        tensor for tensor in tensors if "relative_attention_bias" in tensor or "embed_pos" in tensor
    )
    del tensors[missing]
    tensors |= {"stranger": torch.ones(1), misshapen: torch.ones(3, 4)}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BadDataError) as raised:
        load_bundle(tmp_path)
    for complaint in (
        f"missing: {missing}",
        "unexpected: stranger",
        f"misshapen: {misshapen} (3, 4) instead",
    ):
        assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("bart", "lm_head.weight"),
        ("bart", "model.decoder.embed_tokens.weight"),
        ("t5 1.0", "encoder.embed_tokens.weight"),
    ],
)
def test_a_table_that_is_repeated_must_repeat_its_numbers(tmp_path: Path, name: str, again: str) -> None:
    saved(CASES[name], tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    table = "model.shared.weight" if name == "bart" else "shared.weight"
    tensors[again] = tensors[table].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    load_bundle(tmp_path)
    tensors[again][7, 7] += 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BadDataError, match="differs from"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(("name", "tied"), [("t5 1.0", True), ("t5 1.1", False)])
@torch.no_grad()
def test_a_config_of_transformers_4_says_whether_the_output_is_tied(
    tmp_path: Path, name: str, tied: bool
) -> None:
    theirs = saved(CASES[name], tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    del values["scale_decoder_outputs"]
    (tmp_path / "config.json").write_text(json.dumps(values | {"tie_word_embeddings": tied}))
    ours = load_bundle(tmp_path).model
    assert ours.head_settings["next_token"].tied is tied
    torch.testing.assert_close(our_logits(ours), their_logits(theirs), atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("marian", {"activation_function": "swish"}, "activation_function = 'swish'"),
        ("marian", {"tie_word_embeddings": False}, "tie_word_embeddings"),
        ("marian", {"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings"),
        ("marian", {"decoder_vocab_size": 12}, "decoder_vocab_size"),
        ("marian", {"strange": 1}, "strange, unknown"),
        ("bart", {"normalize_before": True}, "normalize_before = True"),
        ("bart", {"normalize_embedding": False}, "normalize_embedding = False"),
        ("bart", {"is_decoder": True}, "is_decoder = True"),
        ("t5", {"feed_forward_proj": "gated-relu"}, "feed_forward_proj = 'gated-relu'"),
        ("t5", {"dense_act_fn": "gelu"}, "dense_act_fn = 'gelu'"),
        ("t5", {"d_kv": None}, "d_kv = None"),
        ("t5", {"is_gated_act": True}, "is_gated_act = True"),
        ("t5", {"share_encoder_decoder_embeddings": True}, "share_encoder_decoder_embeddings, unknown"),
    ],
)
def test_a_config_that_means_something_else_is_refused(
    kind: str, change: dict[str, Any], reason: str
) -> None:
    values = config(kind).to_dict() | {"architectures": [KINDS[kind][1].__name__]} | change
    with pytest.raises(BadDataError, match=reason):
        PUBLISHED[kind].from_config(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("relative_attention_num_buckets", 1),
        ("num_heads", 0),
        ("num_layers", 1 << 20),
        ("dropout_rate", "some"),
    ],
)
def test_a_config_that_no_model_could_have_is_refused(tmp_path: Path, key: str, value: object) -> None:
    saved(CASES["t5 1.1"], tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {key: value}))
    with pytest.raises(BadDataError):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        ("bart", {"embedding_norm": False}),
        ("bart", {"positions": "learned"}),
        ("m2m_100", {"attention_scale": 1.0}),
        ("t5", {"attention_scale": None}),
        ("t5", {"feed_forward": "geglu"}),
        ("t5", {"windows": (3, 3)}),
    ],
)
def test_what_a_layout_cannot_say_is_written_in_our_own(
    tmp_path: Path, tokenizer: Tokenizer, layout: PairLayout, change: dict[str, Any]
) -> None:
    pair = encoder_decoder_settings("nano", tokenizer.size, layout=layout)
    changed = EncoderDecoderSettings.of(replace(pair.encoder, **change), replace(pair.decoder, **change))
    save_bundle(tmp_path / "model", build_model(changed, head="next_token", seed=0), tokenizer, {})
    written = json.loads((tmp_path / "model" / "config.json").read_text())
    assert written["model_type"] == "headwater_encoder_decoder"
    assert load_bundle(tmp_path / "model").settings == changed
