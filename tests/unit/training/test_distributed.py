import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from headwater.errors import SettingsError
from headwater.training import distributed
from headwater.training.distributed import World, start, stop, world

# Ranks are forked, not spawned: importing torch in each would take longer than the test.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _on_ranks(size: int, folder: Path, work: Callable[[World], Any]) -> list[Any]:
    """What ``work`` gives on each of ``size`` gloo processes."""
    port = _free_port()
    processes: list[int] = []
    for rank in range(size):
        if (process := os.fork()) == 0:
            os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
            code = 1
            try:
                answer = work(start())
                (folder / f"{rank}.json").write_text(json.dumps(answer))
                stop()
                code = 0
            finally:
                os._exit(code)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert codes == [0] * size
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def _inputs() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(1))


def test_a_process_on_its_own_takes_the_same_path() -> None:
    alone = World()
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.full((2,), 3.0)
    alone.sum_gradients([parameter])
    alone.share([parameter])
    alone.wait()
    assert torch.equal(parameter.grad, torch.full((2,), 3.0))
    assert (alone.first, alone.sum(5), alone.any(False), alone.gather("x")) == (True, 5, False, ["x"])
    assert (alone.sum_counts({"a": 2}), alone.sum_numbers({"a": 0.1})) == ({"a": 2}, {"a": 0.1})


def test_ranks_come_from_the_launchers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert world() == World(rank=5, size=8, local_rank=1)


@pytest.mark.parametrize(("rank", "size"), [("8", "8"), ("-1", "8"), ("one", "8")])
def test_an_environment_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, rank: str, size: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(SettingsError, match="RANK"):
        world()


def test_numbers_counts_and_flags_are_the_same_on_every_rank(tmp_path: Path) -> None:
    def work(ranks: World) -> Any:
        return {
            "gathered": ranks.gather({"rank": ranks.rank, "text": "中" * ranks.rank}),
            "sum": ranks.sum(ranks.rank + 1),
            "counts": ranks.sum_counts({"tokens": 10, f"only on {ranks.rank}": 1}),
            "numbers": ranks.sum_numbers({"loss": [0.1, 0.2, 0.3][ranks.rank]}),
            "one": ranks.any(ranks.rank == 2),
            "none": ranks.any(False),
        }

    answers = _on_ranks(3, tmp_path, work)
    assert answers[0] == answers[1] == answers[2]
    assert answers[0] == {
        "gathered": [{"rank": 0, "text": ""}, {"rank": 1, "text": "中"}, {"rank": 2, "text": "中中"}],
        "sum": 6,
        "counts": {"tokens": 30, "only on 0": 1, "only on 1": 1, "only on 2": 1},
        "numbers": {"loss": 0.1 + 0.2 + 0.3},
        "one": True,
        "none": False,
    }


def test_summed_gradients_are_those_of_the_big_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        distributed, "_BUCKET_NUMBERS", 30
    )  # several messages, one tensor larger than a message

    def work(ranks: World) -> Any:
        model = _model()
        rows = _inputs()[ranks.rank :: ranks.size]  # 3 ranks, 2 rows each
        (model(rows).square().sum() / 6).backward()
        ranks.sum_gradients(model.parameters())
        return [
            parameter.grad.flatten().tolist()
            for parameter in model.parameters()
            if parameter.grad is not None
        ]

    whole = _model()
    (whole(_inputs()).square().sum() / 6).backward()
    for answer in _on_ranks(3, tmp_path, work):
        for mine, parameter in zip(answer, whole.parameters(), strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(torch.tensor(mine), parameter.grad.flatten(), rtol=1e-6, atol=1e-7)


def test_a_gradient_missing_on_one_rank_counts_zero_and_missing_everywhere_stays_missing(
    tmp_path: Path,
) -> None:
    def work(ranks: World) -> Any:
        some, none = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
        if ranks.rank == 1:
            some.grad = torch.tensor([1.0, 2.0])
        ranks.sum_gradients([some, none])
        return [None if parameter.grad is None else parameter.grad.tolist() for parameter in (some, none)]

    assert _on_ranks(2, tmp_path, work) == [[[1.0, 2.0], None]] * 2


def test_parts_of_all_ranks_are_gathered_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    def work(ranks: World) -> Any:
        sizes = {0: 2, 1: 3, 2: 1}
        parts = {n: torch.full((sizes[n], 2), float(n)) for n in range(ranks.rank, 3, ranks.size)}
        return [part.tolist() for part in ranks.gather_parts(parts)]

    expected = [[[0.0, 0.0]] * 2, [[1.0, 1.0]] * 3, [[2.0, 2.0]]]
    assert _on_ranks(2, tmp_path, work) == [expected, expected]
    alone = World().gather_parts({1: torch.ones(1), 0: torch.zeros(2)})
    assert [part.tolist() for part in alone] == [[0.0, 0.0], [1.0]]


def test_what_rank_zero_holds_can_be_shared(tmp_path: Path) -> None:
    def work(ranks: World) -> Any:
        weight = nn.Parameter(torch.full((3,), float(ranks.rank + 7)))
        ranks.share([weight])
        return weight.tolist()

    assert _on_ranks(2, tmp_path, work) == [[7.0] * 3] * 2
