"""Marian's layout: the paper's own, norms behind each update, as transformers reads it.

Source: Junczys-Dowmunt et al. 2018, arXiv:1804.00344.
"""

from headwater.models.layouts.translators import Dialect, layout_of

LAYOUT = layout_of(
    Dialect(
        model_type="marian",
        architectures={"": "MarianModel", "next_token": "MarianMTModel"},
        norm_position="after",
        positions="sinusoidal_halves",
        output_bias=True,
        only={"share_encoder_decoder_embeddings": True, "normalize_embedding": False},
    ),
    computed=frozenset(f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder")),
)
