import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.nn.attention import AttentionMask, MultiHeadAttention
from headwater.training.optimizers import (
    OPTIMIZERS,
    build_optimizer,
    depths,
    freeze_below,
    fused_rows,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from headwater.training.without_compiler import without_compiler

RATE, DECAY, BETAS, EPSILON = 0.01, 0.1, (0.9, 0.98), 1e-8


class Small(nn.Module):
    """The names of a real model in miniature."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.blocks = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.norm = nn.LayerNorm(6)
        self.heads = nn.ModuleDict({"classification": nn.Linear(6, 2)})

    def forward(self, tokens: Tensor) -> Tensor:
        hidden_states = self.embedding(tokens)
        for block in self.blocks:
            hidden_states = torch.tanh(block(hidden_states))
        return self.heads["classification"](self.norm(hidden_states))


def _small() -> Small:
    torch.manual_seed(0)
    return Small()


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        tokens = (torch.arange(12).reshape(3, 4) * (step + 1)) % 7
        set_learning_rate(optimizer, 1.0 / (step + 1))
        optimizer.zero_grad()
        model(tokens).square().sum().backward()
        optimizer.step()


def _written_out_adam(
    gradients: list[Tensor], value: Tensor, change: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    value, mean, square = value.double(), torch.zeros_like(value).double(), torch.zeros_like(value).double()
    for number, given in enumerate(gradients, 1):
        value, gradient = change(value, given.double(), value)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
        corrected = (square / (1 - BETAS[1] ** number)).sqrt() + EPSILON
        value = value - RATE * mean / (1 - BETAS[0] ** number) / corrected
    return value.float()


def _after(name: str, gradients: list[Tensor], start: Tensor) -> Tensor:
    weight = nn.Parameter(start.clone())
    optimizer = build_optimizer(
        name, [("weight", weight)], learning_rate=RATE, weight_decay=DECAY, betas=BETAS
    )
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


@pytest.fixture
def walk() -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(4, 5, generator=generator) for _ in range(6)], torch.randn(4, 5, generator=generator)


def test_adamw_is_its_equation_written_out(walk: tuple[list[Tensor], Tensor]) -> None:
    gradients, start = walk
    expected = _written_out_adam(gradients, start, lambda value, g, _: ((1 - RATE * DECAY) * value, g))
    torch.testing.assert_close(_after("adamw", gradients, start), expected)


def test_adam_l2_puts_the_decay_into_the_gradient(walk: tuple[list[Tensor], Tensor]) -> None:
    gradients, start = walk
    expected = _written_out_adam(gradients, start, lambda value, g, before: (value, g + DECAY * before))
    torch.testing.assert_close(_after("adam_l2", gradients, start), expected)


def test_adam_l2_and_adamw_are_not_the_same_rule(walk: tuple[list[Tensor], Tensor]) -> None:
    gradients, start = walk
    assert not torch.allclose(
        _after("adam_l2", gradients, start), _after("adamw", gradients, start), atol=1e-4
    )


def test_decay_leaves_norms_and_biases_alone_and_takes_embeddings() -> None:
    model = _small()
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=RATE, weight_decay=DECAY)
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in decayed}
    assert names == {"embedding.weight", "blocks.0.weight", "blocks.1.weight", "heads.classification.weight"}


def test_layers_further_from_the_head_learn_more_slowly() -> None:
    model = _small()
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=1.0, layer_decay=0.5)
    rate = {id(p): group["peak_learning_rate"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: rate[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["embedding.weight"] == 0.125
    assert found["blocks.0.bias"] == 0.25
    assert found["blocks.1.weight"] == 0.5
    assert found["norm.weight"] == found["heads.classification.weight"] == 1.0


def test_depth_is_read_from_the_names_of_the_house() -> None:
    names = [
        "backbone.embedding.tokens.weight",
        "backbone.blocks.3.attention.qkv.weight",
        "objective.projection.weight",
    ]
    assert list(depths(names).values()) == [0, 4, 5]
    assert list(depths(["backbone.blocks.0.x", "backbone.decoder_blocks.1.x", "heads.a"]).values()) == [
        1,
        2,
        3,
    ]


def test_the_scheduled_rate_is_a_factor_of_each_groups_peak() -> None:
    optimizer = build_optimizer("adamw", _small().named_parameters(), learning_rate=1.0, layer_decay=0.5)
    set_learning_rate(optimizer, 0.1)
    set_learning_rate(optimizer, 0.5)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.0625, 0.125, 0.25, 0.5]


def test_a_tied_matrix_is_trained_once() -> None:
    shared = nn.Parameter(torch.ones(3, 3))
    optimizer = build_optimizer(
        "adamw", [("embedding.weight", shared), ("decoder.weight", shared)], learning_rate=1.0
    )
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 1


def test_freezing_below_a_depth_leaves_what_stands_above_it() -> None:
    model = _small()
    freeze_below(model.named_parameters(), 2)
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == [
        "embedding.weight",
        "blocks.0.weight",
        "blocks.0.bias",
    ]


def test_unfreezing_goes_on_with_the_optimizer_that_knew_everything() -> None:
    model = _small()
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=RATE)
    before = copy.deepcopy(model.state_dict())
    freeze_below(model.named_parameters(), 99)
    _train(model, optimizer, 1)
    assert torch.equal(model.state_dict()["blocks.1.weight"], before["blocks.1.weight"])
    assert not torch.equal(model.norm.weight, before["norm.weight"])
    freeze_below(model.named_parameters(), 0)
    _train(model, optimizer, 1)
    assert not torch.equal(model.embedding.weight, before["embedding.weight"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_learns(name: str) -> None:
    model = _small()
    optimizer = build_optimizer(name, model.named_parameters(), learning_rate=RATE, weight_decay=DECAY)
    tokens = torch.arange(12).reshape(3, 4) % 7
    before = model(tokens).detach().square().sum()
    _train(model, optimizer, 8)
    assert model(tokens).detach().square().sum() < before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_optimizer_goes_on_bit_by_bit(name: str) -> None:
    def build(model: nn.Module) -> torch.optim.Optimizer:
        rows = {"blocks.0.weight": (2, 2, 2)}
        return build_optimizer(
            name,
            model.named_parameters(),
            learning_rate=RATE,
            weight_decay=DECAY,
            layer_decay=0.9,
            fused_rows=rows,
        )

    straight = _small()
    optimizer = build(straight)
    _train(straight, optimizer, 3)
    stopped = copy.deepcopy(straight)
    saved = {
        key: value.clone() for key, value in optimizer_tensors(optimizer, straight.named_parameters()).items()
    }
    _train(straight, optimizer, 4, first=3)

    again = build(stopped)
    restore_optimizer(again, stopped.named_parameters(), saved)
    _train(stopped, again, 4, first=3)
    for one, other in zip(straight.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_step_counter_of_fused_adamw_is_saved_and_restored() -> None:
    model = _small()
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=RATE)
    _train(model, optimizer, 3)
    saved = optimizer_tensors(optimizer, model.named_parameters())
    assert saved["norm.weight/step"] == 3.0
    again = build_optimizer("adamw", model.named_parameters(), learning_rate=RATE)
    restore_optimizer(again, model.named_parameters(), saved)
    assert optimizer_tensors(again, model.named_parameters())["norm.weight/step"] == 3.0


def test_state_of_a_parameter_that_is_not_trained_here_is_refused() -> None:
    model = _small()
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=RATE)
    with pytest.raises(SettingsError, match="which is not trained here"):
        restore_optimizer(optimizer, model.named_parameters(), {"old.weight/step": torch.tensor(1.0)})


def test_nothing_to_train_is_refused() -> None:
    model = _small().requires_grad_(False)
    with pytest.raises(SettingsError, match="everything is frozen"):
        build_optimizer("adamw", model.named_parameters(), learning_rate=RATE)


def test_an_unknown_optimizer_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match="adamw, adam_l2, sgd, muon, adafactor"):
        build_optimizer("adam", _small().named_parameters(), learning_rate=RATE)


def test_the_rows_of_an_attention_layers_three_projections_are_found() -> None:
    model = nn.ModuleDict(
        {"attention": MultiHeadAttention(8, 4, num_key_value_heads=2, mask=AttentionMask())}
    )
    assert fused_rows(model) == {"attention.qkv.weight": (8, 4, 4)}


@pytest.mark.parametrize(
    "kind", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD, torch.optim.Adafactor]
)
def test_without_the_guards_of_the_compiler_an_optimiser_does_the_same_bit_by_bit(
    kind: type[torch.optim.Optimizer],
) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(7, 5), torch.randn(6, 7, 5)
    found: list[torch.Tensor] = []
    for made in (kind, without_compiler(kind)):
        weight = torch.nn.Parameter(start.clone())
        optimizer: Any = made([{"params": [weight]}])  # pyright: ignore[reportArgumentType, reportCallIssue]
        for number, gradient in enumerate(gradients):
            weight.grad = gradient.clone()
            optimizer.step()
            if number == 2:  # state goes out and comes back
                optimizer.load_state_dict(optimizer.state_dict())
            optimizer.zero_grad()
        found.append(weight.detach())
    assert torch.equal(*found)
