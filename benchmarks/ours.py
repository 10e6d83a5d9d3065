"""Our side of the race: what ``headwater pretrain`` composes, pausing between segments.

Run by the races as ``python -m benchmarks.ours ARENA WORK --way JSON``.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.arena import HIDDEN_SHARE, SEED, WORKS, Arena
from benchmarks.harness import Stage
from headwater.data.batches import TokenBatches
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.models import Model, load_bundle
from headwater.models.bundle import save_bundle
from headwater.nn.residual import Residual
from headwater.objectives import LossTerm, MaskedTokens, NextToken, Task
from headwater.objectives.masked_prediction import MaskedTask
from headwater.run.learning import build_learner
from headwater.run.settings import TrainingSettings
from headwater.sequence import PADDING, Batch, SequenceLayout
from headwater.training import precision
from headwater.training.loop import StepRecord, train
from headwater.training.plan import Learner, Plan
from headwater.training.schedules import build_schedule

LEARNING_RATE = 1e-3
WARMUP_STEPS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How we train; the defaults are the product's, the rest takes one lever away."""

    size: str = "tiny"
    steps: int = 200  # of the whole schedule
    segment_steps: int = 5
    warm_steps: int = 3  # before the first segment
    threads: int = 1
    length_grouping: bool = True
    packed: bool = False
    prefetch: int = 2
    allocator: bool = True
    flush_denormal: bool = True
    deterministic: bool = True
    fused: bool = True
    dropout: float = 0.0
    gathered: bool = True  # the output layer at hidden places only
    gathered_early: bool = True  # the last block, too
    shared: bool = True  # masks and angles once a pass
    halves: bool = True  # GeGLU in two contiguous halves
    products: bool = True  # attention of short rows multiplied out, in bf16
    width_multiple: int = 1  # batches as wide as their widest row, rounded up to a multiple of this
    precision: str = "auto"
    compiled: str = ""  # "", or a mode of torch.compile
    batch_tokens: int = 0  # 0: as many as the peer's rows bring


class AfterAllBlocks(MaskedTokens):
    """The same loss with every block computed at every position."""

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p over the hidden positions, gathered before the output layer."""
        assert isinstance(task, MaskedTask)
        logits = model.heads[self.name](model.encode(task.batch).flatten(0, 1)[task.places])
        total = F.cross_entropy(logits.float(), task.targets, reduction="sum")
        return (LossTerm(self.name, total, task.counts[self.name]),)


class Everywhere(MaskedTokens):
    """The same loss with logits computed at every position, as the peer does by default."""

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p over the hidden positions, found in the logits of all."""
        assert isinstance(task, MaskedTask)
        logits = model.heads[self.name](model.encode(task.batch).flatten(0, 1))
        labels = torch.full((len(logits),), -100).index_copy(0, task.places, task.targets)
        total = F.cross_entropy(logits.float(), labels, reduction="sum")
        return (LossTerm(self.name, total, task.counts[self.name]),)


def prepare_machine(way: Way) -> None:
    """Threads, allocator and determinism as the composer sets them."""
    if way.allocator:
        precision.tune_allocator()
    precision.use_threads(way.threads)
    torch.set_flush_denormal(way.flush_denormal)
    if way.deterministic:
        precision.use_deterministic_algorithms(compiled=bool(way.compiled))
    _take_away(way)


def build(arena: Arena, work: str, way: Way) -> tuple[Learner, TokenBatches]:
    """The learner with the arena's first weights, and its batches."""
    tokenizer = arena.tokenizer
    model = load_bundle(arena.start(work, way.size)).model
    for part in model.modules():
        if isinstance(part, Residual):
            part.dropout.p = way.dropout
    objective = _objective(tokenizer, way) if not WORKS[work].causal else NextToken(tokenizer)
    training = TrainingSettings(learning_rate=LEARNING_RATE, weight_decay=0.01)
    learner = build_learner(model, objective, training)
    if not way.fused:
        for group in learner.optimizer.param_groups:
            group["fused"] = None  # torch's own choice
    if way.compiled:
        _compile(model, way.compiled)
    batches = TokenBatches(
        Windows(arena.store(work), WORKS[work].longest),
        tokenizer,
        tokens_per_batch=way.batch_tokens or WORKS[work].tokens_per_batch,
        seed=SEED,
        packed=way.packed,
        length_grouping=way.length_grouping,
    )
    return learner, batches


def steps_of(learner: Learner, batches: TokenBatches, way: Way) -> Iterator[StepRecord]:
    """The loop itself."""
    schedule = build_schedule("linear", steps=way.steps, warmup_steps=WARMUP_STEPS)
    decided = precision.decide_precision(way.precision)
    plan = Plan(steps=way.steps, seed=SEED, schedule=schedule, prefetch=way.prefetch, precision=decided)
    return train(learner, lambda number: _rounded(batches.batch(number), way.width_multiple), plan)


def main() -> None:
    """Warm up, then a segment a turn; at the end, ship the model for the judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arena", type=Path)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--way", type=json.loads, default={})
    parser.add_argument("--ship", type=Path)
    arguments = parser.parse_args()
    arena, way = Arena(arguments.arena), replace(Way(), **arguments.way)

    stage = Stage()
    prepare_machine(way)
    learner, batches = build(arena, arguments.work, way)
    records = steps_of(learner, batches, way)
    warm = [next(records) for _ in range(way.warm_steps)]
    stage.say(first_step_seconds=warm[0].seconds, parameters=_count(learner.model))
    while stage.turn(lambda: sum(next(records).tokens for _ in range(way.segment_steps))):
        pass
    if arguments.ship is not None:
        save_bundle(arguments.ship, learner.model, arena.tokenizer, {})
    stage.say(peak_bytes=precision.peak_memory())


def _objective(tokenizer: Tokenizer, way: Way) -> MaskedTokens:
    kind = Everywhere if not way.gathered else MaskedTokens if way.gathered_early else AfterAllBlocks
    return kind(tokenizer, share=HIDDEN_SHARE)


def _compile(model: Model, mode: str) -> None:
    blocks = model.backbone.get_submodule("blocks")
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        block.compile(mode=None if mode == "default" else mode, dynamic=True)


def _take_away(way: Way) -> None:
    """What no setting can switch off is replaced by what it replaced."""
    from headwater.models import transformer
    from headwater.nn.attention import products
    from headwater.nn.feed_forward import GatedFeedForward

    if not way.shared:  # every layer derives its own mask and angles
        transformer.__dict__["share"] = lambda layout: layout
    if not way.products:
        products.LONGEST = 0
    if not way.halves:
        GatedFeedForward._halves = lambda self, states: self.inner(states).chunk(2, dim=-1)


def _rounded(batch: Batch, multiple: int) -> Batch:
    """The batch widened by padding to a multiple of tokens; padding is token 0 in the arena's vocabulary."""
    more = -batch.inputs.shape[1] % multiple
    if not more:
        return batch
    documents = F.pad(batch.layout.documents, (0, more), value=PADDING)
    layout = SequenceLayout(documents, F.pad(batch.layout.positions, (0, more)), contiguous=True)
    return replace(batch, inputs=F.pad(batch.inputs, (0, more)), layout=layout)


def _count(model: Model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()
