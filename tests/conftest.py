"""Shared by all tests: one thread, real data only where it is, GPU tests only where there is one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:  # as nohup and shells leave it in the background
        signal.signal(_signal, _usual)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out what this machine cannot run, and say so in one line each."""
    absent = {
        "data": None if os.environ.get("HEADWATER_DATA") else "HEADWATER_DATA is not set",
        "gpu": None if torch.cuda.is_available() else "there is no CUDA device",
    }
    for mark, reason in absent.items():
        left_out = [item for item in items if reason and item.get_closest_marker(mark)]
        if left_out:
            items[:] = [item for item in items if item not in left_out]
            config.hook.pytest_deselected(items=left_out)
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"{len(left_out)} tests marked '{mark}' are left out: {reason}.")


@pytest.fixture(autouse=True)
def _machine_as_it_was() -> Iterator[None]:
    """A run prepares its whole process, and a test draws from torch's generator; the next test must not notice."""
    torch.manual_seed(0)
    yield
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_sets() -> Path:
    """The folder of real data sets; tests that use it carry the mark ``data``."""
    return Path(os.environ["HEADWATER_DATA"])
