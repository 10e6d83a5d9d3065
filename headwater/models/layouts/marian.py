"""Marian's layout: the paper's own, norms behind each update, as transformers reads it.

Source: Junczys-Dowmunt et al. 2018, arXiv:1804.00344.
"""

from functools import partial

from headwater.models.heads import HeadSettings
from headwater.models.layouts import translators
from headwater.models.layouts.names import Config, Layout, Rename, check_keys, must_be, task_of
from headwater.models.settings import EncoderDecoderSettings

ARCHITECTURES = {"": "MarianModel", "next_token": "MarianMTModel"}
KNOWN = translators.KNOWN | {"decoder_vocab_size", "share_encoder_decoder_embeddings", "normalize_embedding"}


def from_config(config: Config) -> EncoderDecoderSettings:
    """The settings of a Marian config."""
    check_keys(config, KNOWN)
    must_be(config, "share_encoder_decoder_embeddings", True)
    must_be(config, "decoder_vocab_size", None, config.get("vocab_size"))
    must_be(config, "normalize_embedding", False)
    return translators.from_config(config, norm_position="after", positions="sinusoidal_halves")


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, ARCHITECTURES)
    return HeadSettings(name=task) if task else None


def names(settings: EncoderDecoderSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and Marian's."""
    result = translators.names(settings)
    if head is not None:
        row = (1, settings.vocabulary_size)
        result.append(Rename("heads.next_token.decoder.bias", ("final_logits_bias",), shape=row))
    return result


LAYOUT = Layout(
    model_type="marian",
    architectures=ARCHITECTURES,
    refusal=partial(translators.refusal, norm_position="after", positions="sinusoidal_halves"),
    to_config=translators.to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    repeated=translators.repeated,
    computed=frozenset(f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder")),
)
