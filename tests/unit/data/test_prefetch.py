"""Reading ahead changes when batches are made, never which."""

import threading

import pytest

from headwater.data.prefetch import prefetched


@pytest.mark.parametrize("depth", [0, 1, 2, 10])
@pytest.mark.parametrize(("start", "stop"), [(0, 0), (3, 4), (2, 9)])
def test_results_are_those_of_no_thread(depth: int, start: int, stop: int):
    assert list(prefetched(lambda number: number**2, start, stop, depth)) == [
        n**2 for n in range(start, stop)
    ]


def test_work_is_done_ahead_but_not_further_than_the_depth():
    made: list[int] = []
    stream = prefetched(lambda number: made.append(number), 0, 100, depth=3)
    next(stream)
    next(stream)
    stream.close()
    assert 2 <= len(made) <= 5


def test_an_exception_comes_where_the_result_would_have_come():
    def produce(number: int) -> int:
        if number == 2:
            raise ValueError("batch 2 is broken")
        return number

    stream = prefetched(produce, 0, 5)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ValueError, match="batch 2"):
        next(stream)


def test_closing_ends_the_thread():
    before = threading.active_count()
    stream = prefetched(lambda number: number, 0, 100)
    next(stream)
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before
