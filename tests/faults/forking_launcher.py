"""Runs ``headwater`` commands as processes of their own that can be killed at an exact instant.

Every command runs in a fork of this process, which has loaded torch once: what is tested is the whole program
from its first line on, without two seconds of imports each time. One JSON request a line on standard input, one
answer on standard output. A request holds ``arguments``, ``environment``, ``log`` (where the command's own output
goes) and, to stop it:

    after     seconds, then SIGKILL
    call      SIGKILL before the n-th call that changes the disk
    at        [dotted name, n, signals]: these signals at the beginning of the n-th call of a function of the program,
              on rank ``on`` where there are several ``ranks``
    fail      [dotted name, n]: the disk is full at the n-th call of a function, on every rank

The answer holds ``code`` (negative: the signal that ended it), ``codes`` of all ranks, ``calls`` (that changed the
disk) and ``seconds``.
"""

import errno
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pyarrow

PRELOADED = ("headwater.cli.app", "headwater.run.verbs", "torch._inductor", "tensorboardX.event_file_writer")
CHANGES = ("mkdir", "open", "write", "fsync", "ftruncate", "rename", "replace", "unlink", "rmdir")


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    pyarrow.array(numpy.zeros(1))  # the first array of a process loads pandas where there is one
    for line in sys.stdin:
        print(json.dumps(launch(json.loads(line))), flush=True)


def launch(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command to its end, whoever brings that about; as several ranks where ``ranks`` says so."""
    counter = Path(request["log"]).with_suffix(".calls")
    counter.write_bytes(b"")
    began = time.monotonic()
    processes = [forked(part, counter) for part in ranked(request)]
    codes = [wait(process, request.get("after")) for process in processes]
    seconds = time.monotonic() - began
    return {"code": codes[0], "codes": codes, "calls": counter.stat().st_size, "seconds": seconds}


def ranked(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The request of each rank, with the environment that torchrun would set; ``at`` is for rank ``on``."""
    size = request.get("ranks", 1)
    if size == 1:
        return [request]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    world = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        {
            **request,
            "environment": {**request["environment"], **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            "log": request["log"] if rank == 0 else f"{request['log']}.rank-{rank}",
            "at": request.get("at") if rank == request.get("on", 0) else None,
        }
        for rank in range(size)
    ]


def forked(request: dict[str, Any], counter: Path) -> int:
    """The number of a new process that runs the command."""
    process = os.fork()
    if process == 0:
        os._exit(command(request, counter))
    return process


def wait(process: int, after: float | None) -> int:
    """How the process ended, by itself or killed after some seconds."""
    deadline = None if after is None else time.monotonic() + after
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() >= deadline:
            os.kill(process, signal.SIGKILL)
            deadline = None
        time.sleep(0.002)


def command(request: dict[str, Any], counter: Path) -> int:
    """In the child: the program with its output in the log; the exit code."""
    from headwater.cli.app import main as program

    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(request["environment"])
    sys.argv = ["headwater", *request["arguments"]]
    watch_disk(counter, request.get("call"))
    if request.get("at"):
        name, number, signals = request["at"]
        trap(name, number, lambda: [os.kill(os.getpid(), one) for one in signals])
    if request.get("fail"):
        name, number = request["fail"]
        trap(name, number, fill_the_disk)
    try:
        program()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def watch_disk(counter: Path, last: int | None) -> None:
    """Count the calls that change the disk, and die before the ``last``."""
    note = os.open(counter, os.O_WRONLY | os.O_APPEND)
    write = os.write
    made = 0

    def before(call: Callable[..., Any], is_open: bool) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal made
            if not is_open or arguments[1] & os.O_CREAT:
                made += 1
                if made == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(note, b".")
            return call(*arguments, **named)

        return counted

    for name in CHANGES:
        setattr(os, name, before(getattr(os, name), name == "open"))


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def trap(name: str, number: int, act: Callable[[], object]) -> None:
    """Act when a function is called for the ``number``-th time, before it does anything."""
    module, *path, last = split(name)
    owner: Any = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    function = owner.__dict__[last] if isinstance(owner, type) else getattr(owner, last)
    is_class_method = isinstance(function, classmethod)
    function = function.__func__ if is_class_method else function
    calls = 0

    def trapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return function(*arguments, **named)

    setattr(owner, last, classmethod(trapped) if is_class_method else trapped)


def split(name: str) -> list[str]:
    """The module of a dotted name, then the names inside it."""
    module, _, rest = name.partition(":")
    return [module, *rest.split(".")]


if __name__ == "__main__":
    main()
