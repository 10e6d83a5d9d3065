"""Recommendation as a run does it: from what users did so far, what each does next.

Leave-one-out by time: the last event of every user is the test and the one before it the validation; training reads
neither. The last event is asked for again, from all that stand before it, whenever histories are judged.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.batches import TokenBatches
from headwater.data.examples import Content, Example, LabelledSet, texts_in
from headwater.data.kinds import Split
from headwater.data.readers.histories import ITEMS, history_of, item_name, items_in, read_histories
from headwater.data.store import Store
from headwater.data.token_vectors import token_vectors
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import FRAME, Windows
from headwater.errors import BadDataError, SettingsError
from headwater.evaluation.metrics.ranking import RankingReport, Standing, ranking_report
from headwater.evaluation.recommenders import ItemItem, Popularity, standing_of
from headwater.models import Model
from headwater.nn.initialization import begin_with_company
from headwater.objectives import NextItem
from headwater.run.deriving import Habits
from headwater.run.fitting import Tokens
from headwater.run.folder import RunFolder
from headwater.run.reading import Reader
from headwater.run.recommending import Histories, Questions, Recommending, first_item
from headwater.run.settings import ObjectiveSettings, TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.run.tasks.task import Parts, Say, Task

KEPT = "histories.jsonl"
"""Of a run: the histories that it was given, and how many events of each it has learnt from."""
WATCHED = 5_000
"""Users asked at every evaluation while training."""
JUDGED = 10_000
"""Users asked in a report; of more, every few."""


@dataclass(frozen=True)
class RecommendationTask(Task[Tokenizer]):
    """The next item of a history, among all items that occur in training."""

    columns: tuple[str, ...]
    learnt: tuple[str, ...] = ()

    head: ClassVar[str] = "next_token"
    labels_are: ClassVar = "text"
    needs: ClassVar = "past"
    reads_histories: ClassVar = True
    habits: ClassVar[Habits] = Habits(size="nano", parts=1, epochs=10, fresh_dropout=0.2)

    @classmethod
    def read(
        cls, path: str | Path, *, text: Sequence[str] | None, label: str | None, split: Split
    ) -> LabelledSet:
        """The history of every user; ``text`` names the columns of user, item and time."""
        del label
        return read_histories(path, columns=text, split=split)

    @classmethod
    def parts(cls, rows: LabelledSet, *, validate: bool) -> Parts:
        """All but the last event, or the last two, are learnt from; a user of one event is never asked."""
        held_out = 2 if validate else 1
        lists = [items_in(example.text) for example in rows.examples]
        if all(len(history) < 2 for history in lists):
            raise _one_event_each(rows)
        train = [history[: max(1, len(history) - held_out)] for history in lists]
        judged = [history[:-1] for history in lists if len(history) >= 3]
        validation = [example for example, h in zip(rows.examples, lists, strict=True) if len(h) >= 3]
        return Parts(
            _with_histories(rows, rows.examples, train),
            _with_histories(rows, validation, judged) if validate and judged else None,
            rows,
        )

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The items of the training events; at least two users, and two items."""
        path = rows.examples[0].path
        if len(rows) < 2:
            raise BadDataError(
                f"{path} holds the events of one user; what people do next is learnt from many: give a table with the "
                "events of at least two, or name the column of users with --text USER,ITEM,TIME"
            )
        histories = tuple(example.text for example in rows.examples)
        items = {item for history in histories for item in items_in(history)}
        if len(items) < 2:
            raise BadDataError(
                f"{path}: all events but the last of each user name one item, {item_name(items.pop())}; recommendation "
                "needs at least two: give more events, or name the column of items with --text USER,ITEM,TIME"
            )
        return cls(name, rows.text_columns, histories)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The columns that the run was given."""
        return cls(str(card["task"]), tuple(card["columns"]))

    def in_run(self, folder: RunFolder) -> Self:
        """With the histories that the run learnt from, which the baselines learn from too."""
        path = folder.path / KEPT
        if not path.is_file():
            return self
        try:
            with path.open(encoding="utf-8") as file:
                rows = [json.loads(line) for line in file]
            learnt = tuple(history_of(json.dumps(row[ITEMS][: row["learnt"]])) for row in rows)
        except (ValueError, TypeError, KeyError) as problem:
            raise BadDataError(
                f"{path} is damaged: {problem}; restore it, or remove it to judge without baselines"
            ) from problem
        return replace(self, learnt=learnt)

    def keep(self, folder: RunFolder, test: LabelledSet) -> None:
        """Write every history, its last events included, and how many events of it were learnt from."""
        rows = (
            {ITEMS: list(map(item_name, items_in(example.text))), "learnt": len(items_in(learnt))}
            for example, learnt in zip(test.examples, self.learnt, strict=True)
        )
        folder.write_lines(KEPT, (json.dumps(row, ensure_ascii=False) for row in rows))

    @property
    def judged_columns(self) -> tuple[str, ...]:
        """User, item and time; what is answered is a list of items."""
        return self.columns

    @property
    def card(self) -> dict[str, Any]:
        """The columns of what it is judged on and of what it answers."""
        return {"text": [ITEMS], "columns": list(self.columns)}

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """Only a model whose words are items."""
        if start.tokenizer.unknown is None:
            raise SettingsError(
                f"{path} reads texts, and {self.name} reads items; start from 'scratch', or from a run of the same task"
            )
        return self

    def remark(self, rows: LabelledSet) -> str:
        """How many users, items and events, over which time."""
        facts = rows.facts
        span = f", from {facts['from']} to {facts['to']}" if "from" in facts else ""
        told = [
            f"{facts['events']:,} events of {facts['users']:,} users with {facts['items']:,} items{span} "
            f"(columns {', '.join(self.columns)}); the last event of each user is kept for the test"
        ]
        shares = {
            "stand at the same time as the one before: sorted by item": facts.get("at_once", 0),
            "name an item that the user had before: it is learnt, and never recommended again": facts[
                "repeated"
            ],
        }
        told += [
            f"{count / facts['events']:.0%} of the events {words}" for words, count in shares.items() if count
        ]
        return "\n".join(told)

    def vocabulary(
        self, examples: Sequence[Example], size: int | None, check: Callable[[], None]
    ) -> Tokenizer:
        """Every item of the training events is a token, the most frequent first."""
        counts = Counter(item for example in examples for item in items_in(example.text))
        check()
        return Tokenizer.of_words(item for item, _ in counts.most_common(size))

    def begin(self, model: Model, rows: Any, check: Callable[[], None]) -> None:
        """Items that keep the same company in histories begin with like vectors."""
        assert isinstance(rows, HistoryRows)
        table = model.backbone.token_embedding.weight
        vectors = token_vectors(rows.store, len(table), model.backbone.width - 1, check=check)
        begin_with_company(table, torch.from_numpy(vectors).to(table.device))

    def amount(self, rows: LabelledSet, length: int) -> int:
        """Windows that hold all events: a long history is many rows, and many short ones share the room of one."""
        events = sum(len(items_in(example.text)) for example in rows.examples)
        return max(1, round(events / max(1, length - FRAME)))

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> NextItem:
        """The next item of every beginning of a history."""
        return NextItem(tokenizer, label_smoothing=settings.label_smoothing or 0.0)

    def known_by(self, example: Example) -> Sequence[str]:
        """None: a history that is asked about is one that was learnt from, and goes on."""
        del example
        return []

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Long histories are read in windows."""
        del example
        return []

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> "HistoryRows":
        """Histories of items that the vocabulary knows."""
        found = Histories.of([example.text for example in examples], tokenizer)
        _refuse_strangers(found, examples)
        first = first_item(tokenizer)
        return HistoryRows([(history + first).astype(tokenizer.dtype) for history in found.items])

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats an asked event, and NDCG@10 among all items."""
        watched = [example.text for example in _every_few(examples, WATCHED)]
        questions, recommending = Questions.of(watched, reader.tokenizer), Recommending(reader)
        if (questions.chosen < 0).all():
            raise BadDataError(
                f"{examples[0].path}: no event that is watched while training names an item that was learnt; give a "
                "table in which users share items, or name the columns with --text USER,ITEM,TIME"
            )

        def judged() -> dict[str, float]:
            standing, losses = recommending.judged(questions)
            return {"loss": float(np.nanmean(losses)), "ndcg_10": float(standing.gain.mean())}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> RankingReport:
        """HR@10 and NDCG@10 of the last events, beside popularity and the neighbours of the last items."""
        recommending = Recommending(reader)
        asked = [example.text for example in given.examples if len(items_in(example.text)) > 1]
        if not asked:
            raise _one_event_each(given)
        if alone := len(given) - len(asked):
            say(f"{alone:,} of {len(given):,} users have one event; nothing can be asked of them")
        if len(asked) > JUDGED:
            say(f"{JUDGED:,} of {len(asked):,} users are asked, evenly chosen")
        questions = Questions.of(_every_few(asked, JUDGED), reader.tokenizer)
        _refuse_strangers(questions.known, given.examples)
        if unknown := int(questions.known.unknown.sum()):
            say(f"{unknown:,} events name items that the model does not know; they are skipped")
        model, _ = recommending.judged(questions)
        standings = [("this model", model), *self._baselines(questions, reader.tokenizer, say)]
        return ranking_report(
            standings,
            items=recommending.items,
            not_learnt=int((questions.chosen < 0).sum()),
            had_before=questions.had_before,
        )

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """Ten items for each history; ``unknown`` counts items of it that the model does not know."""
        texts = texts_in(contents)
        histories = Histories.of([history_of(" ".join(text)) for text in texts], reader.tokenizer)
        found = Recommending(reader).best(histories)
        for items, unknown in zip(found, histories.unknown.tolist(), strict=True):
            yield {"items": items, **({"unknown": unknown} if unknown else {})}

    def _baselines(
        self, questions: Questions, tokenizer: Tokenizer, say: Say
    ) -> Iterator[tuple[str, Standing]]:
        if not self.learnt:
            say(
                f"the run has no {KEPT}: popularity and item-item cannot be counted, and are not in the report"
            )
            return
        learnt, items = Histories.of(self.learnt, tokenizer).items, tokenizer.size - first_item(tokenizer)
        neighbours = ItemItem.of(learnt, items)
        for name, baseline in (
            ("popularity", Popularity.of(learnt, items)),
            (f"item-item, last {neighbours.reach}", neighbours),
        ):
            yield name, standing_of(baseline, questions.known.items, questions.chosen)


@dataclass(frozen=True, slots=True)
class HistoryRows:
    """Histories as tokens."""

    histories: Sequence[Tokens]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> TokenBatches:
        """Training batches over windows as long as the model reads; a window's last event is only asked for."""
        length, rows = training.length or DEFAULT_LENGTH, training.batch_rows or 1
        return TokenBatches(
            Windows(self.store, length),
            tokenizer,
            tokens_per_batch=max(1, rows // (training.micro_batches or 1)) * length,
            seed=training.seed,
            open_ends=True,
        )

    @property
    def store(self) -> Store:
        """All histories one after another."""
        offsets = np.concatenate([[0], np.cumsum([len(history) for history in self.histories])])
        digests = np.zeros(len(self.histories), np.uint64)
        return Store(Path(), np.concatenate(self.histories), offsets.astype(np.int64), digests)

    def __len__(self) -> int:
        return len(self.histories)


def _one_event_each(rows: LabelledSet) -> BadDataError:
    return BadDataError(
        f"{rows.examples[0].path}: every user has one event, so there is nothing to foretell the last from; give "
        "histories of at least two events, or name the column of users with --text USER,ITEM,TIME"
    )


def _refuse_strangers(histories: Histories, examples: Sequence[Example]) -> None:
    """Refuse histories of which the model knows no item."""
    if not any(map(len, histories.items)):
        first = ", ".join(map(item_name, items_in(examples[0].text)[:3]))
        raise BadDataError(
            f"{examples[0].path}: the model knows no item of these histories (the first: {first}); give histories with "
            "items of its training table, or name the column with --text USER,ITEM,TIME"
        )


def _with_histories(
    rows: LabelledSet, examples: Sequence[Example], histories: Sequence[Sequence[str]]
) -> LabelledSet:
    changed = [example._replace(texts=(" ".join(h),)) for example, h in zip(examples, histories, strict=True)]
    return replace(rows, examples=changed)


def _every_few(rows: Sequence[Any], most: int) -> list[Any]:
    """All rows, or ``most`` of them at even distances."""
    places: NDArray[np.int64] = np.unique(
        np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)
    )
    return [rows[place] for place in places]
