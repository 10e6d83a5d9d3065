"""BART's layout: norms behind each update and behind each embedding, learnt positions, as transformers reads it.

The trap: its tables of positions begin with two rows that nobody reads. Source: Lewis et al. 2020, arXiv:1910.13461.
"""

from headwater.models.layouts.translators import Dialect, layout_of

LAYOUT = layout_of(
    Dialect(
        model_type="bart",
        architectures={"": "BartModel", "next_token": "BartForConditionalGeneration"},
        norm_position="after",
        positions="learned_from_two",
        embedding_norm=True,
        output_bias=True,
        # Words that early versions wrote, for variants that no published BART is.
        only={
            "normalize_before": False,
            "normalize_embedding": True,
            "add_final_layer_norm": False,
            "add_bias_logits": False,
            "static_position_embeddings": False,
            "extra_pos_embeddings": 2,
        },
    )
)
