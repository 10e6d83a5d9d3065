"""What the machine decides once, before step 0, and settings.toml then keeps: threads, format, allocator."""

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from headwater.errors import SettingsError

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What was found: ``cores`` this process may use, those of them that were ``free_cores`` a moment ago.

    ``usable_cores`` are all of them, or what OMP_NUM_THREADS says.
    """

    cores: int
    free_cores: int
    usable_cores: int
    device: str  # "cpu" or "cuda"
    bf16: bool  # in hardware, on that device
    name: str


def look_at_machine(device: str | None = None) -> Machine:
    """Measure this machine; takes a fifth of a second, because busy cores show only over time."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SettingsError(
            "device=cuda, but torch sees no CUDA device here; choose device=cpu, or mend the driver"
        )
    name = torch.cuda.get_device_name() if device.startswith("cuda") else _processor_name()
    return Machine(
        cores=len(_own_cores()),
        free_cores=count_free_cores(),
        usable_cores=_given_threads() or len(_own_cores()),
        device=device,
        bf16=has_bf16(device),
        name=name,
    )


def has_bf16(device: str) -> bool:
    """True where bf16 products run in hardware.

    The trap: torch computes bf16 on every CPU, and without the instructions (avx512_bf16 or amx) forty to a
    hundred times slower than fp32, where it should be twice as fast.
    """
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = _processor_flags()
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})  # "bf16" alone is how Arm calls it


def decide_precision(wanted: str, device: str = "cpu") -> Precision:
    """bf16 where the hardware has it, for "auto"; else what was asked for, even if it is slow."""
    if wanted == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    if wanted in ("fp32", "bf16"):
        return "bf16" if wanted == "bf16" else "fp32"
    raise SettingsError(f"precision={wanted!r}; choose auto, fp32 or bf16")


def autocast(precision: str, device: torch.device | str) -> AbstractContextManager[object]:
    """Matrix products in bf16 inside the block, sums, norms and weights in fp32; nothing changes for fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def count_free_cores(seconds: float = 0.2) -> int:
    """How many of this process's cores stood idle for the next moment, at least 1.

    A half-busy machine with two cores runs two OpenMP threads at *half* the speed of one: they wait for each
    other. OMP_NUM_THREADS, where the user has set it, is the answer.
    """
    if (given := _given_threads()) is not None:
        return given
    own = _own_cores()
    before = _idle_ticks(own)
    if before is None:  # no /proc here: the load of the last minute must do
        return max(1, round(len(own) - os.getloadavg()[0]))
    began = time.monotonic()
    time.sleep(seconds)
    idle = sum(_idle_ticks(own) or []) - sum(before)
    free = idle / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
    return min(len(own), max(1, round(free)))


def use_threads(threads: int) -> None:
    """Compute with this many threads, with denormal numbers flushed to zero in all of them.

    The flag belongs to a thread and is inherited when one starts, so it is set before torch's pool exists.
    """
    if threads < 1:
        raise SettingsError(f"threads={threads}; expected at least 1")
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)


def use_deterministic_algorithms(device: str = "cpu", *, compiled: bool = False) -> None:
    """From here on torch refuses what would give other bits the next time; what is ``compiled`` is made so, too."""
    if device.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.backends.cudnn.benchmark = False
    if device.startswith("cuda") or compiled:
        torch.use_deterministic_algorithms(True)
    else:  # the same switch without the compiler's own, which would load all of the compiler
        torch.set_deterministic_debug_mode("error")
    # By default this switch also fills every new tensor with NaN, which costs a pass over memory each.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


# glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def tune_allocator() -> bool:
    """Keep freed memory in the process instead of handing it back at every step; True if glibc took it.

    Activations are large blocks, freed and asked for again each step. glibc gives each its own mapping, and
    the kernel then zeroes every page anew. Elsewhere (musl, macOS, another malloc preloaded) nothing
    happens.
    """
    if not sys.platform.startswith("linux") or os.environ.get("LD_PRELOAD"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # The threshold cannot be raised above 32 MB, so the number of mappings is set to none instead.
    wishes = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    answers = [library.mallopt(ctypes.c_int(name), ctypes.c_int(value)) for name, value in wishes]
    return answers == [1] * len(wishes)


def peak_memory(device: str = "cpu") -> int:
    """The most bytes held so far: resident memory of the process, or what torch took of the GPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: there the peak of a large parent is inherited through fork and exec.
        fields = (line.split() for line in status.read_text().splitlines())
        return next(int(words[1]) * 1024 for words in fields if words[0] == "VmHWM:")
    import resource  # there is no such module on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak_memory(device: str = "cpu") -> None:
    """From here on ``peak_memory`` tells what was held since; where the system cannot forget, since the beginning."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return
    if sys.platform.startswith("linux") and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(ctypes.c_size_t(0))  # what was freed and is kept for later counts as held
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # of this process alone


def available_memory() -> int | None:
    """Bytes that new processes may take without anything being swapped out; None where no one says."""
    information = Path("/proc/meminfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _given_threads() -> int | None:
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) > 0 else None


def _own_cores() -> set[int]:
    """The cores this process may run on, which in a container or a batch job are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _idle_ticks(cores: set[int]) -> list[int] | None:
    """Ticks that each of the cores has spent idle or waiting for a disk since the machine started."""
    statistics = Path("/proc/stat")
    if not statistics.is_file():
        return None
    lines = (line.split() for line in statistics.read_text().splitlines())
    return [int(words[4]) + int(words[5]) for words in lines if words[0] in {f"cpu{core}" for core in cores}]


def _cpu_information() -> Iterator[tuple[str, str]]:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            yield name.strip(), value.strip()


def _processor_flags() -> set[str]:
    for name, value in _cpu_information():
        if name in ("flags", "Features"):
            return set(value.split())
    return set()


def _processor_name() -> str:
    return next((value for name, value in _cpu_information() if name == "model name"), "unknown processor")
