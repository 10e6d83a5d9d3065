"""What all layouts of an encoder and a decoder share: two stacks of blocks over one table of tokens."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import Rename, Repeated, SpecialTokens, fused, linear, other_than, ties
from headwater.models.settings import BackboneSettings, EncoderDecoderSettings, TransformerSettings

# Keys of a config.json that say how texts are written where nobody says it; not what the model computes.
WRITING = frozenset(
    [
        "decoder_start_token_id",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "force_bos_token_to_be_generated",
        "bad_words_ids",
        "num_beams",
        "early_stopping",
        "max_length",
        "min_length",
        "length_penalty",
        "no_repeat_ngram_size",
        "task_specific_params",
        "prefix",
        "output_past",
        "gradient_checkpointing",
        "classifier_dropout",
    ]
)


class Stack(NamedTuple):
    """One of the two: its published name, and where its parts stand in our backbone."""

    published: str
    embedding: str
    blocks: str
    norm: str
    settings: TransformerSettings


def stacks_of(settings: TransformerSettings | EncoderDecoderSettings) -> tuple[Stack, ...]:
    """The encoder, and the decoder where there is one."""
    if isinstance(settings, TransformerSettings):
        return (Stack("encoder", "embedding", "blocks", "final_norm", settings),)
    (encoder,) = stacks_of(settings.encoder)
    return encoder, Stack("decoder", "decoder_embedding", "decoder_blocks", "decoder_norm", settings.decoder)


def refusal_of_stacks(settings: BackboneSettings, fixed: Mapping[str, object]) -> str | None:
    """Why not every stack has these settings, or None; grouped heads and windows are in none of the layouts."""
    if not isinstance(settings, TransformerSettings | EncoderDecoderSettings):
        return "it is not a Transformer"
    everywhere = {
        "layout": None,
        "embedding_width": None,
        "first_attention_norm": True,
        "num_key_value_heads": None,
        "windows": (),
    }
    for stack in stacks_of(settings):
        if reason := other_than(stack.settings, everywhere | dict(fixed)):
            return reason
    return None


def refusal_of_pair(settings: EncoderDecoderSettings, *equal: str) -> str | None:
    """Why config.json, which has one word for both stacks, cannot say what these settings are, or None."""
    for name in equal:
        found = [getattr(stack.settings, name) for stack in stacks_of(settings)]
        if found[0] != found[1]:
            return f"{name} is {found[0]} in the encoder and {found[1]} in the decoder"
    return None


def refusal_of_writing_head(head: HeadSettings | None, architectures: Mapping[str, str]) -> str | None:
    """Why there is no class for the head, or None."""
    if head is not None and head.name not in architectures:
        return f"there is no {head.name} head in it"
    return None


def tokens_config(settings: BackboneSettings, special: SpecialTokens) -> dict[str, Any]:
    """The token numbers in config.json: a text begins with [CLS] and ends with [SEP]."""
    return {
        "decoder_start_token_id": special.cls,
        "forced_eos_token_id": None,
        "pad_token_id": settings.pad_token,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
    }


def attention_names(
    ours: str, published: str, parts: Sequence[str], settings: TransformerSettings
) -> list[Rename]:
    """The maps of one attention; ``parts`` are the published names of q, k, v and the output."""
    *heads, out = (f"{published}.{part}" for part in parts)
    rows = (settings.num_heads * settings.head_width,) * 3
    return [
        *fused(f"{ours}.qkv", heads, rows, bias=settings.linear_bias),
        *linear(f"{ours}.out", out, bias=settings.linear_bias),
    ]


def one_table(prefix: str) -> Repeated:
    """Names under which a file may repeat the one table, which is ``{prefix}shared``."""
    shared = f"{prefix}shared.weight"
    both = {f"{prefix}{stack}.embed_tokens.weight": shared for stack in ("encoder", "decoder")}
    return ties({"lm_head.weight": shared}, body=both)
