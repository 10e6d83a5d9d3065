"""Averages of weights: often better than the last weights, for the price of one copy or a few."""

import contextlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError


class Average(Protocol):
    """What stands in for the last weights: it follows training, is judged and shipped, and lies in every checkpoint."""

    def update(self, step: int) -> None:
        """Take in the weights as they are after ``step``, counted from 0."""

    def in_place(self) -> contextlib.AbstractContextManager[None]:
        """Inside the block the parameters hold the average; afterwards what they held before, bit by bit."""
        ...

    def settle(self) -> None:
        """Give the parameters the average for good: training is over."""

    def tensors(self) -> dict[str, Tensor]:
        """All that is remembered: for the checkpoint."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what ``tensors`` gave."""


class WeightAverage:
    """An exponential moving average of named parameters: a ← d·a + (1 − d)·θ after each step.

    The decay starts low, d = min(decay, (1 + k) / (10 + k)) at step k, so that the random weights of the
    beginning are forgotten; as a function of the step it needs no state. Why not
    ``torch.optim.swa_utils.AveragedModel``: it keeps a second module with its own names and a counter, where
    a checkpoint wants flat tensors under the parameters' names. Tests compare the two.

    Source: Polyak and Juditsky 1992, doi:10.1137/0330046; the warm-up is TensorFlow's.
    """

    def __init__(self, named_parameters: Iterable[tuple[str, nn.Parameter]], *, decay: float = 0.999) -> None:
        if not 0.0 <= decay < 1.0:
            raise SettingsError(f"decay={decay} of the weight average; expected 0 to below 1, like 0.999")
        self.decay = decay
        self._parameters = dict(named_parameters)
        self._averages = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they are after ``step``, counted from 0."""
        weight = 1.0 - min(self.decay, (1 + step) / (10 + step))
        averages = [self._averages[name] for name in self._parameters]
        torch._foreach_lerp_(averages, list(self._parameters.values()), weight)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]

    @contextlib.contextmanager
    def in_place(self) -> Generator[None]:
        """Inside the block the parameters hold the average; afterwards what they held before, bit by bit."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def settle(self) -> None:
        """Give the parameters the average for good: training is over."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self._averages[name])

    def tensors(self) -> dict[str, Tensor]:
        """The average by parameter name: for the checkpoint."""
        return dict(self._averages)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what ``tensors`` gave."""
        if set(tensors) != set(self._averages):
            raise _of_another_model(set(tensors) ^ set(self._averages))
        for name, average in self._averages.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        # The values move, not the tensors: optimisers and tied layers hold on to the parameters themselves.
        for name, parameter in self._parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self._averages[name])
            self._averages[name].copy_(kept)


class LastWeights:
    """The mean of the weights at the last ``count`` of the steps ``every`` apart, of which the run's last is one.

    Step k of n is one of them where n − k is a multiple of ``every``: a function of the step, so that a run that was
    killed keeps the same weights. Before the first of them the weights are what they are.

    Source: Vaswani et al. 2017, section 6.1, arXiv:1706.03762.
    """

    def __init__(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], *, count: int, every: int, steps: int
    ) -> None:
        self._parameters = dict(named_parameters)
        self._count, self._every, self._steps = count, every, steps
        self._kept: dict[int, dict[str, Tensor]] = {}

    def update(self, step: int) -> None:
        """Keep the weights as they are after ``step``, counted from 0, where it is one of those; let the oldest go."""
        done = step + 1
        if (self._steps - done) % self._every:
            return
        # On the processor: a device has no room to spare for weights that are read now and then.
        self._kept[done] = {
            name: parameter.detach().to("cpu", copy=True) for name, parameter in self._parameters.items()
        }
        for old in sorted(self._kept)[: -self._count]:
            del self._kept[old]

    @contextlib.contextmanager
    def in_place(self) -> Generator[None]:
        """Inside the block the parameters hold the mean; afterwards what they held before, bit by bit."""
        before = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self.settle()
        try:
            yield
        finally:
            self._set(before)

    def settle(self) -> None:
        """Give the parameters the mean for good: training is over."""
        if self._kept:
            self._set(mean_of_weights([self._kept[step] for step in sorted(self._kept)]))

    def tensors(self) -> dict[str, Tensor]:
        """The weights that are kept, by step and parameter name: for the checkpoint."""
        return {
            f"{step}/{name}": tensor for step, kept in self._kept.items() for name, tensor in kept.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what ``tensors`` gave."""
        kept: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            step, _, name = key.partition("/")
            if not step.isdigit():
                raise _of_another_model([key])
            kept.setdefault(int(step), {})[name] = tensor
        for weights in kept.values():
            if odd := set(weights) ^ set(self._parameters):
                raise _of_another_model(odd)
        self._kept = kept

    @torch.no_grad()
    def _set(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(weights[name])


def mean_of_weights(checkpoints: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The plain mean of the same weights at several steps, summed in fp64; whole numbers come from the last.

    Source: Vaswani et al. 2017, section 6.1, arXiv:1706.03762, who average the last 5 to 20 checkpoints.
    """
    if not checkpoints:
        raise SettingsError("there is no checkpoint to average; expected at least one")
    *_, last = checkpoints
    return {
        name: _mean([weights[name] for weights in checkpoints])
        if tensor.is_floating_point()
        else tensor.clone()
        for name, tensor in last.items()
    }


def _of_another_model(odd: Iterable[str]) -> SettingsError:
    return SettingsError(
        f"the saved weight average has other parameters than the model ({', '.join(sorted(odd)[:3])} …); "
        "resume with the settings that the run was started with"
    )


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    total = torch.stack([tensor.double() for tensor in tensors]).mean(dim=0)
    return total.to(tensors[-1].dtype)
