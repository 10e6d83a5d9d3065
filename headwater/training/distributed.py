"""Several processes, one training run; a single process takes the same path.

Ranks come from the environment that torchrun, ``srun`` wrappers and accelerate set (RANK, WORLD_SIZE,
LOCAL_RANK). Gradients are *summed*, not averaged: the loss is divided by the count of the whole step before
the backward pass, so the sum over ranks is the gradient of the big batch. That is why this is a plain
all-reduce and not DistributedDataParallel: DDP averages, and it hooks ``forward`` of one wrapped module
while objectives call ``embed`` and ``encode`` and accumulate over micro-batches. The price is that
communication does not overlap with the backward pass.
"""

import atexit
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from headwater import errors
from headwater.errors import SettingsError

_BUCKET_NUMBERS = 8 * 2**20  # 32 MB of fp32 in one message
Result = TypeVar("Result")
_TIMEOUT = timedelta(minutes=30)  # a rank may tokenise or save while the others wait


@dataclass(frozen=True, slots=True)
class World:
    """Which of how many processes this is; ``World()`` is a process on its own."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """True on the one rank that writes files and speaks to the user."""
        return self.rank == 0

    def sum(self, number: int) -> int:
        """The sum of a whole number over all ranks."""
        return sum(self.gather(number))

    def sum_counts(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Counts by name, summed over ranks; a name that only some ranks know counts 0 on the others."""
        totals: dict[str, int] = {}
        for one in self.gather(dict(counts)):
            totals = {name: totals.get(name, 0) + one.get(name, 0) for name in {**totals, **one}}
        return totals

    def sum_numbers(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Numbers by name, summed over ranks in the order of ranks, so that every rank gets the same bits."""
        totals: dict[str, float] = {}
        for one in self.gather(dict(numbers)):
            totals = {name: totals.get(name, 0.0) + one.get(name, 0.0) for name in {**totals, **one}}
        return totals

    def any(self, flag: bool) -> bool:
        """True on all ranks if it is true on one: how a signal or a failed save reaches everybody."""
        return any(self.gather(bool(flag)))

    def on_first(self, work: Callable[[], Result]) -> Result:
        """The JSON value that ``work`` gives on rank 0, on every rank; it runs there alone while the others wait.

        What it raises there is raised everywhere: a rank left behind would wait for the others in vain.
        """
        if self.size == 1:
            return work()
        answer: Result | None = None
        raised: Exception | None = None
        if self.first:
            try:
                answer = work()
            except Exception as problem:
                raised = problem
        kind, words, shared = self.gather([type(raised).__name__, str(raised), answer])[0]
        if raised is not None:
            raise raised
        if kind != "NoneType":
            raise getattr(errors, kind, errors.TrainingStoppedError)(words)
        return shared

    def first_then_others(self, work: Callable[[], Result]) -> Result:
        """What ``work`` gives on this rank; the others begin when rank 0 is done, and find what it left in a cache."""
        mine: list[Result] = []
        self.on_first(lambda: mine.append(work()))
        return mine[0] if mine else work()

    def gather(self, value: Any) -> list[Any]:
        """The JSON value of every rank, in the order of ranks, on every rank.

        JSON and not ``all_gather_object``, which unpickles what other processes send.
        """
        if self.size == 1:
            return [value]
        device = _device()
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(device)
        lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([text.numel()], device=device))
        width = max(int(length) for length in lengths)
        padded = torch.zeros(width, dtype=torch.uint8, device=device)
        padded[: text.numel()] = text
        texts = [torch.zeros_like(padded) for _ in range(self.size)]
        dist.all_gather(texts, padded)
        pairs = zip(texts, lengths, strict=True)
        return [json.loads(bytes(text[: int(length)].cpu().numpy())) for text, length in pairs]

    def gather_parts(self, parts: Mapping[int, Tensor]) -> list[Tensor]:
        """The tensors of all ranks in the order of their numbers; they may differ in their first dimension."""
        if self.size == 1:
            return [parts[number] for number in sorted(parts)]
        sizes = [
            {int(number): size for number, size in mine.items()}
            for mine in self.gather({str(number): len(part) for number, part in sorted(parts.items())})
        ]
        joined = torch.cat([parts[number] for number in sorted(parts)])
        most = max(sum(mine.values()) for mine in sizes)
        padded = joined.new_zeros(most, *joined.shape[1:])
        padded[: len(joined)] = joined
        received = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(received, padded)
        found = {
            number: part
            for mine, tensor in zip(sizes, received, strict=True)
            for number, part in zip(
                mine, tensor[: sum(mine.values())].split(list(mine.values())), strict=True
            )
        }
        return [found[number] for number in sorted(found)]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over ranks.

        A parameter without a gradient on one rank counts as zero there; without one on every rank it stays
        without, as on a single process: to an optimiser, no gradient and a gradient of zero are not the same.
        """
        if self.size == 1:
            return
        parameters = list(parameters)
        taking_part = [
            any(flags) for flags in zip(*self.gather([p.grad is not None for p in parameters]), strict=True)
        ]
        gradients: list[Tensor] = []
        for parameter, takes_part in zip(parameters, taking_part, strict=True):
            if takes_part:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                gradients.append(parameter.grad)
        for bucket in _buckets(gradients):
            _sum_together(bucket)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors in place by those of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)

    def wait(self) -> None:
        """Return when every rank has arrived here."""
        if self.size > 1:
            dist.barrier()


def world() -> World:
    """What the launcher's environment says; a process on its own if it says nothing."""
    names = {"rank": ("RANK", 0), "size": ("WORLD_SIZE", 1), "local_rank": ("LOCAL_RANK", 0)}
    try:
        numbers = {field: int(os.environ.get(name, default)) for field, (name, default) in names.items()}
    except ValueError as problem:
        raise SettingsError(f"RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers: {problem}") from problem
    found = World(**numbers)
    if not 0 <= found.rank < found.size:
        raise SettingsError(f"RANK={found.rank} with WORLD_SIZE={found.size}; expected 0 to {found.size - 1}")
    return found


def start() -> World:
    """Join the other processes (nccl with CUDA, else gloo) and say who this one is; alone, join nobody."""
    found = world()
    if found.size > 1 and not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(found.local_rank)
        dist.init_process_group("nccl" if cuda else "gloo", timeout=_TIMEOUT)
        atexit.register(stop)
    return found


def stop() -> None:
    """Leave the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _buckets(gradients: Sequence[Tensor]) -> list[list[Tensor]]:
    """Gradients of one type and device, grouped so that small ones travel together."""
    buckets: list[list[Tensor]] = []
    room: dict[tuple[torch.dtype, torch.device], int] = {}
    open_bucket: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for gradient in gradients:
        kind = (gradient.dtype, gradient.device)
        if room.get(kind, 0) < gradient.numel():
            open_bucket[kind], room[kind] = [], _BUCKET_NUMBERS
            buckets.append(open_bucket[kind])
        open_bucket[kind].append(gradient)
        room[kind] -= gradient.numel()
    return buckets


def _sum_together(bucket: Sequence[Tensor]) -> None:
    flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
    dist.all_reduce(flat)
    for gradient, summed in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
        gradient.copy_(summed.view_as(gradient))
