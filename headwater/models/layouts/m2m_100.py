"""M2M-100's layout: the paper's block with the norms in front, as transformers reads it.

Source: Fan et al. 2020, arXiv:2010.11125.
"""

from headwater.models.layouts.translators import Dialect, layout_of

LAYOUT = layout_of(
    Dialect(
        model_type="m2m_100",
        architectures={"": "M2M100Model", "next_token": "M2M100ForConditionalGeneration"},
        norm_position="before",
        positions="sinusoidal_tensor2tensor",
        activation="relu",
        scaled=True,
    )
)
