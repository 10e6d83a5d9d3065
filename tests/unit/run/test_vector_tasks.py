"""Tasks that train vectors: whom they refuse."""

from types import SimpleNamespace
from typing import Any

import pytest

from headwater.errors import SettingsError
from headwater.run.tasks.labelled_retrieval import LabelledRetrievalTask
from headwater.run.tasks.retrieval import RetrievalTask
from headwater.run.tasks.similarity import SimilarityTask


@pytest.mark.parametrize(
    "task",
    [RetrievalTask("retrieval"), LabelledRetrievalTask("retrieval"), SimilarityTask("similarity", 0, 5)],
)
def test_a_model_that_reads_the_past_alone_is_refused(task: Any) -> None:
    start: Any = SimpleNamespace(settings=SimpleNamespace(causal=True))
    with pytest.raises(SettingsError, match=r"runs/drawer has no encoder: .*masked_autoencoding of pictures"):
        task.suited_to(start, "runs/drawer")


def test_what_a_card_keeps_comes_back() -> None:
    assert RetrievalTask.of_card({"task": "retrieval", "pooling": "mean"}) == RetrievalTask("retrieval")
    task = SimilarityTask("similarity", 0.0, 5.0)
    assert task.card == {"low": 0.0, "high": 5.0, "pooling": "mean"}
    assert SimilarityTask.of_card({"task": "similarity", **task.card}) == task
