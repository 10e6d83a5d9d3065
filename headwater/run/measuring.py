"""How many steps fit in the minutes: measured on a few warm-up steps that are then undone."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Generator

import torch

from headwater.sequence import Batch
from headwater.training.loop import train
from headwater.training.plan import Learner, Plan

WARM_UP_STEPS = 2
LONGEST_MEASUREMENT = 20.0
MEASURED_STEPS = 10


@contextlib.contextmanager
def undone(learner: Learner) -> Generator[None]:
    """Whatever training does inside the block is undone when it ends, bit for bit."""
    parts = (learner.model, learner.objective)
    before = [{name: tensor.detach().clone() for name, tensor in part.state_dict().items()} for part in parts]
    rates = [group["lr"] for group in learner.optimizer.param_groups]
    try:
        yield
    finally:
        with torch.no_grad():
            for part, tensors in zip(parts, before, strict=True):
                for name, tensor in part.state_dict().items():
                    tensor.copy_(tensors[name])
        learner.optimizer.state.clear()
        learner.optimizer.zero_grad(set_to_none=True)
        for group, rate in zip(learner.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


def seconds_a_step(
    learner: Learner,
    batch_of: Callable[[int], Batch],
    plan: Plan,
    *,
    steps: int = MEASURED_STEPS,
    check: Callable[[], None] | None = None,
) -> float:
    """The mean time of a step, data included, over some steps after two that do not count.

    On several ranks that of the slowest. ``check`` is asked after every step, and raises to stop.
    """
    seconds: list[float] = []
    began = time.perf_counter()
    few = dataclasses.replace(plan, steps=WARM_UP_STEPS + steps)
    learner = dataclasses.replace(learner, thaw=None)  # the steps to come are the dear ones
    with undone(learner):
        for record in train(learner, batch_of, few):
            seconds.append(record.seconds)
            if check is not None:
                check()
            # Every rank must leave after the same step: the next one takes all of them.
            waited = max(plan.world.gather(time.perf_counter() - began))
            if len(seconds) > WARM_UP_STEPS and waited > LONGEST_MEASUREMENT:
                break
    return max(plan.world.gather(statistics.mean(seconds[WARM_UP_STEPS:] or seconds)))


def steps_in(minutes: float, seconds: float, *, evaluation_share: float = 0.0) -> int:
    """How many steps of ``seconds`` fit, a share of the time being spent on evaluation."""
    return max(1, int(minutes * 60 / (seconds * (1 + evaluation_share))))
