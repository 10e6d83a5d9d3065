"""Windows that overlap by half: every token is judged once, with as much before it as fits."""

import numpy as np
import pytest

from headwater.run.foretelling import half_overlapping


@pytest.mark.parametrize("content", [2, 5, 8])
def test_every_token_is_judged_once_and_with_half_a_window_before_it(content: int) -> None:
    sizes = [0, 1, content - 1, content, content + 1, 3 * content, 3 * content + 1, 7 * content - 1]
    owners, starts, first_judged = half_overlapping(sizes, content)
    judged: dict[int, list[int]] = {document: [] for document in range(len(sizes))}
    for document, start, first in zip(owners.tolist(), starts.tolist(), first_judged.tolist(), strict=True):
        stop = min(start + content, sizes[document])
        judged[document] += range(start + first, stop)
        assert first >= content // 2 or start == 0
    for document, size in enumerate(sizes):
        assert judged[document] == list(range(size))
    assert np.bincount(owners).min() == 1  # a document without tokens still has an end to foretell
