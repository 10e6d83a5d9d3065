"""The tasks that a model can be fine-tuned for, one file a kind."""

from typing import Any

from headwater.errors import SettingsError
from headwater.run.generating import WRITING_TASKS
from headwater.run.tasks.classification import ClassificationTask, PairClassificationTask, ZeroShotTask
from headwater.run.tasks.describing import DescribingTask
from headwater.run.tasks.labelled_retrieval import LabelledRetrievalTask
from headwater.run.tasks.multi_label import MultiLabelTask
from headwater.run.tasks.question_answering import QuestionAnsweringTask
from headwater.run.tasks.recommendation import RecommendationTask
from headwater.run.tasks.regression import PairRegressionTask, RegressionTask
from headwater.run.tasks.retrieval import RetrievalTask
from headwater.run.tasks.similarity import SimilarityTask
from headwater.run.tasks.tagging import TaggingTask
from headwater.run.tasks.task import Task
from headwater.run.tasks.transcribing import TranscribingTask
from headwater.run.tasks.writing import WritingTask
from headwater.settings import unknown_choice

TASKS: dict[str, type[Task[Any]]] = {
    "classification": ClassificationTask,
    "multi_label_classification": MultiLabelTask,
    "pair_classification": PairClassificationTask,
    "zero_shot": ZeroShotTask,
    "regression": RegressionTask,
    "pair_regression": PairRegressionTask,
    "similarity": SimilarityTask,
    "tagging": TaggingTask,
    "question_answering": QuestionAnsweringTask,
    "retrieval": RetrievalTask,
    **dict.fromkeys(WRITING_TASKS, WritingTask),
    "captioning": DescribingTask,
    "speech_recognition": TranscribingTask,
    "recommendation": RecommendationTask,
}


_OF_MEDIA: dict[str, type[Task[Any]]] = {"retrieval": LabelledRetrievalTask}
"""What a task is of pictures, recordings and clips, where it is another than of texts."""


def task_kind(name: str, *, media: bool = False) -> type[Task[Any]]:
    """The kind of that name, of texts or of ``media``."""
    if name not in TASKS:
        raise SettingsError(unknown_choice("task", name, list(TASKS)))
    return _OF_MEDIA.get(name, TASKS[name]) if media else TASKS[name]


__all__ = ["TASKS", "Task", "task_kind"]
