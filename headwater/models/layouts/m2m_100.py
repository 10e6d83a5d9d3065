"""M2M-100's layout: the paper's block with the norms in front, as transformers reads it.

Source: Fan et al. 2020, arXiv:2010.11125.
"""

from functools import partial

from headwater.models.heads import HeadSettings
from headwater.models.layouts import translators
from headwater.models.layouts.names import Config, Layout, Rename, check_keys, task_of
from headwater.models.settings import EncoderDecoderSettings

ARCHITECTURES = {"": "M2M100Model", "next_token": "M2M100ForConditionalGeneration"}


def from_config(config: Config) -> EncoderDecoderSettings:
    """The settings of an M2M-100 config."""
    check_keys(config, translators.KNOWN)
    return translators.from_config(config, norm_position="before", positions="sinusoidal_tensor2tensor")


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, ARCHITECTURES)
    return HeadSettings(name=task) if task else None


def names(settings: EncoderDecoderSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and M2M-100's."""
    del head  # its output matrix is the table itself
    return translators.names(settings)


LAYOUT = Layout(
    model_type="m2m_100",
    architectures=ARCHITECTURES,
    refusal=partial(translators.refusal, norm_position="before", positions="sinusoidal_tensor2tensor"),
    to_config=translators.to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    repeated=translators.repeated,
)
