"""How many tokens of a question and its context are read at once."""

from collections.abc import Callable

import pytest

from headwater.data.examples import Example, LabelledSet
from headwater.data.problems import Problems
from headwater.data.tokenizer import Tokenizer
from headwater.models import TransformerSettings, bert_settings, build_backbone, encoder_settings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.question_answering import LONGEST_WINDOW, QuestionAnsweringTask

WORD = "word "


def window(layout: Callable[[str, int], TransformerSettings], trained: bool, words: int) -> tuple[int, int]:
    """What is read at once, and how many tokens a row has; one in thirty is far longer."""
    tokenizer = Tokenizer.learn([WORD * 9] * 3, 270)
    model = layout("nano", 270)
    weights = build_backbone(model, seed=0).state_dict() if trained else None
    start = StartingPoint(model, tokenizer, {"size": "nano", "length": 128}, weights=weights)
    texts = [(WORD * 5, WORD * words)] * 29 + [(WORD * 5, WORD * 3_000)]
    examples = [Example(pair, "[]", "asked.jsonl", row + 1) for row, pair in enumerate(texts)]
    rows = LabelledSet(
        examples=examples, text_columns=("question", "context"), label_column="answers", problems=Problems()
    )
    usual = 3 + sum(map(len, tokenizer.encode_batch(texts[0])))
    return QuestionAnsweringTask("question_answering", False).window(rows, start), usual


@pytest.mark.parametrize("trained", [False, True])
def test_a_context_is_read_whole_up_to_a_longest_window(trained: bool) -> None:
    read, usual = window(encoder_settings, trained, 150)
    assert 128 < usual < LONGEST_WINDOW
    assert read == usual
    assert window(encoder_settings, trained, 5)[0] == 128
    assert window(encoder_settings, trained, 2_000)[0] == LONGEST_WINDOW


def test_positions_that_were_learnt_end_where_the_training_ended() -> None:
    assert window(bert_settings, True, 2_000)[0] == 128
    assert window(bert_settings, False, 2_000)[0] == LONGEST_WINDOW
