"""Some tokens alone get the vectors, and send back the gradients, that they have among all others."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from headwater.models import (
    BackboneSettings,
    ConvolutionalSettings,
    RecurrentSettings,
    TransformerSettings,
    build_backbone,
)
from headwater.sequence import SequenceLayout

TRANSFORMER = TransformerSettings(
    vocabulary_size=31, width=16, depth=3, num_heads=2, feed_forward_width=24, windows=(None, 3, 3)
)
RECURRENT = RecurrentSettings(vocabulary_size=31, width=16, depth=1, hidden_width=8)
CONVOLUTIONAL = ConvolutionalSettings(vocabulary_size=31, width=16, depth=1, hidden_width=8)
PLACES = torch.tensor([0, 4, 5, 13, 17])
LAYOUTS = {
    "dense": SequenceLayout.dense(2, 9),
    "padded": SequenceLayout.padded(torch.tensor([9, 9]), 9),
    "packed": SequenceLayout.packed([[4, 5], [9]], 9),
}


def tokens() -> Tensor:
    return torch.randint(0, 31, (2, 9), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "settings",
    [
        TRANSFORMER,
        replace(TRANSFORMER, norm_position="after", feed_forward="relu"),
        replace(TRANSFORMER, stochastic_depth=0.5),
        replace(TRANSFORMER, causal=True, windows=()),
        RECURRENT,
        CONVOLUTIONAL,
    ],
    ids=["before", "after", "stochastic depth", "causal", "recurrent", "convolutional"],
)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_token_has_the_same_vector_and_gradient_alone(
    settings: BackboneSettings, layout: SequenceLayout
) -> None:
    backbone = build_backbone(settings, seed=0).eval()
    embedded = backbone.embed(tokens(), layout).detach().requires_grad_()
    among_all = backbone.encode(embedded, layout).flatten(0, 1)[PLACES]
    alone = backbone.encode_places(embedded, layout, PLACES)
    torch.testing.assert_close(alone, among_all, atol=1e-6, rtol=1e-5)

    direction = torch.randn(alone.shape, generator=torch.Generator().manual_seed(1))
    of = [embedded, *(p for name, p in backbone.named_parameters() if "embedding" not in name)]
    expected = torch.autograd.grad(among_all, of, direction)
    torch.testing.assert_close(torch.autograd.grad(alone, of, direction), expected, atol=1e-6, rtol=1e-5)


def test_the_last_block_transforms_the_wanted_tokens_alone() -> None:
    backbone = build_backbone(TRANSFORMER, seed=0)
    seen: list[tuple[int, ...]] = []
    last = backbone.get_submodule(f"blocks.{TRANSFORMER.depth - 1}.feed_forward.outer")
    last.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    layout = LAYOUTS["padded"]
    backbone.encode_places(backbone.embed(tokens(), layout), layout, PLACES)
    assert seen == [(len(PLACES), TRANSFORMER.feed_forward_width)]


def test_activation_checkpointing_changes_no_gradient() -> None:
    gradients: list[Tensor] = []
    for checkpointed in (False, True):
        backbone = build_backbone(TRANSFORMER, seed=0).train()
        backbone.checkpoint_activations = checkpointed
        layout = LAYOUTS["dense"]
        backbone.encode_places(backbone.embed(tokens(), layout), layout, PLACES).square().sum().backward()
        assert backbone.token_embedding.weight.grad is not None
        gradients.append(backbone.token_embedding.weight.grad)
    assert torch.equal(*gradients)
