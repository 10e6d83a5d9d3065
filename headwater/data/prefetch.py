"""Batches made one thread ahead of the step that uses them."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(produce: Callable[[int], T], start: int, stop: int, depth: int = 2) -> Generator[T]:
    """produce(start), …, produce(stop − 1), each begun up to ``depth`` numbers before it is asked for.

    The results are those of ``depth=0``, which uses no thread: ``produce`` is a function of its number alone. Its
    exceptions are raised where the result would have come. One thread, not several: on few cores loader workers
    take the cores that the step needs.
    """
    if depth == 0:
        yield from map(produce, range(start, stop))
        return
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        ahead = deque(thread.submit(produce, number) for number in range(start, min(start + depth, stop)))
        try:
            for number in range(start + depth, stop + depth):
                result = ahead.popleft().result()
                if number < stop:
                    ahead.append(thread.submit(produce, number))
                yield result
        finally:
            thread.shutdown(cancel_futures=True)
