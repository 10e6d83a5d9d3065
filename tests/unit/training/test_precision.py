import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from headwater.errors import SettingsError
from headwater.training import precision
from headwater.training.precision import (
    autocast,
    count_free_cores,
    decide_precision,
    has_bf16,
    look_at_machine,
    peak_memory,
    use_deterministic_algorithms,
    use_threads,
)


def test_bf16_is_chosen_only_where_the_hardware_has_it() -> None:
    # torch's own look at the processor, a second way to the same answer
    supported = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert has_bf16("cpu") == supported
    assert decide_precision("auto", "cpu") == ("bf16" if supported else "fp32")


@pytest.mark.parametrize(
    ("flags", "answer"),
    [("fpu avx2 avx512f avx512_bf16", "bf16"), ("fpu avx2 avx512f avx512_vnni", "fp32"), ("", "fp32")],
)
def test_the_flags_of_the_processor_decide(monkeypatch: pytest.MonkeyPatch, flags: str, answer: str) -> None:
    monkeypatch.setattr(precision, "_cpu_information", lambda: iter([("model name", "X"), ("flags", flags)]))
    assert decide_precision("auto", "cpu") == answer


def test_what_the_user_asks_for_is_done_and_what_does_not_exist_refused() -> None:
    assert (decide_precision("bf16"), decide_precision("fp32")) == ("bf16", "fp32")
    with pytest.raises(SettingsError, match="choose auto, fp32 or bf16"):
        decide_precision("fp16")


def test_inside_bf16_products_are_bf16_and_norms_fp32() -> None:
    states = torch.ones(2, 4)
    with autocast("bf16", "cpu"):
        product = torch.nn.functional.linear(states, torch.ones(3, 4))
        norm = torch.nn.functional.layer_norm(product.float(), (3,))
    assert (product.dtype, norm.dtype) == (torch.bfloat16, torch.float32)


def test_fp32_changes_nothing() -> None:
    with autocast("fp32", torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_users_number_of_threads_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert count_free_cores() == 3


@pytest.mark.parametrize(("idle_cores", "free"), [(0.0, 1), (0.2, 1), (1.1, 1), (2.9, 3), (9.0, 4)])
def test_free_cores_are_those_that_stood_idle(
    monkeypatch: pytest.MonkeyPatch, idle_cores: float, free: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ticks = iter([[0], [round(idle_cores * 0.25 * os.sysconf("SC_CLK_TCK"))]])
    times = iter([10.0, 10.25])
    monkeypatch.setattr(precision, "_own_cores", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(precision, "_idle_ticks", lambda _: next(ticks))
    monkeypatch.setattr(precision.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(precision.time, "sleep", lambda _: None)
    assert count_free_cores() == free


def test_a_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    machine = look_at_machine("cpu")
    assert 1 <= machine.free_cores <= machine.cores <= (os.cpu_count() or 1)
    assert machine.name
    assert machine.device == "cpu"


@pytest.fixture
def as_before() -> Generator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("as_before")
def test_denormal_numbers_are_flushed() -> None:
    use_threads(1)
    assert float(torch.tensor([1e-30]) * torch.tensor([1e-10])) == 0.0
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("as_before")
def test_what_is_not_deterministic_is_refused_and_new_tensors_are_not_filled() -> None:
    use_deterministic_algorithms()
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))
    assert torch.utils.deterministic.fill_uninitialized_memory is False  # pyright: ignore[reportAttributeAccessIssue]


def test_no_threads_are_refused() -> None:
    with pytest.raises(SettingsError, match="threads=0"):
        use_threads(0)


def test_peak_memory_is_what_the_kernel_says() -> None:
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
    assert peak_memory() == pytest.approx(int(line.split()[1]) * 1024, rel=0.05)


PLACES = """
from pathlib import Path
import torch
from headwater.training.precision import tune_allocator

def place():
    tensor = torch.empty(64 * 2**20)
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, last = line.split()[0].partition("-")
        if int(first, 16) <= tensor.data_ptr() < int(last, 16):
            return line.split()[-1]
    return "nowhere"

before, tuned, after = place(), tune_allocator(), place()
print(before, tuned, after)
"""


def test_with_the_tuned_allocator_large_tensors_come_from_the_heap_that_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", PLACES], capture_output=True, text=True, check=True)
    before, tuned, after = done.stdout.split()
    assert before != "[heap]"
    assert tuned == "True"
    assert after == "[heap]"
