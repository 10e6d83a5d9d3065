"""What a corpus holds that is nearest to a query, by the vectors of a run."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headwater.data.decoding import flaw
from headwater.data.examples import texts_in
from headwater.data.files import find_sources
from headwater.data.kinds import PathLike, paths_in
from headwater.data.problems import Problems
from headwater.data.readers.sources import open_table
from headwater.data.sequencers import Patches, Sides
from headwater.data.vector_store import unit
from headwater.data.windows import FRAME
from headwater.errors import UsageError
from headwater.models.weights import WEIGHTS
from headwater.run.asked_rows import (
    Asking,
    contents_of,
    error_of,
    read_rows,
    refuse_unanswered,
    with_errors,
)
from headwater.run.asking import Asker, Question
from headwater.run.fitting import encode
from headwater.run.folder import RunFolder
from headwater.run.indexing import Corpus, Index, Indexing
from headwater.run.media_search import MediaIndex
from headwater.run.reading import Reader
from headwater.run.starting import model_folder
from headwater.run.tasks.task import Say
from headwater.training.progress import Progress

SHOWN_CHARACTERS = 200
RETRIEVAL = "retrieval"


@dataclass(frozen=True, slots=True)
class Searcher:
    """A shipped encoder that finds documents."""

    path: Path
    reader: Reader
    card: Mapping[str, Any]

    @classmethod
    def load(cls, folder: RunFolder, corpus: Corpus) -> "Searcher":
        """Load the model folder of a finished run, of pairs the side that reads ``corpus``.

        One that reads the past alone is refused, unless its vectors were trained to be found.
        """
        paths = paths_in(corpus)
        reader, card = Reader.of_run(folder, data=paths[0])
        if isinstance(reader.sequencer, Sides):
            raise UsageError(
                f"{folder.path} answers both sides of a row together, and its vectors are of both; search with the run "
                "of pairs that it was fine-tuned from"
            )
        if reader.model.backbone.reads == "past" and reader.tower is None:
            raise UsageError(
                f"{folder.path} has no encoder: it reads the past alone, and its vectors do not know what comes after "
                "a word; search with a run of masked_tokens, or with one that was fine-tuned from it for retrieval"
            )
        return cls(folder.path, reader, card)

    @property
    def reads_media(self) -> bool:
        """Whether it finds pictures, recordings or clips."""
        return isinstance(self.reader.sequencer, Patches)

    def media(self, corpus: Corpus, progress: Progress) -> MediaIndex:
        """Those of a folder with their vectors."""
        return MediaIndex.of(_one(corpus), self.reader, self._digest, progress)

    @property
    def query_columns(self) -> tuple[str, ...] | None:
        """The columns that hold a query, where the run was fine-tuned to find passages."""
        return tuple(self.card["text"]) if self.card.get("task") == RETRIEVAL else None

    def index(self, corpus: Corpus, *, text: Sequence[str] | None, progress: Progress) -> Index:
        """The documents of a corpus with their vectors, from the cache where they were kept.

        Of tables that all have the column of the run's passages, only that one is read unless ``text`` names another.
        """
        if text is None and (text := self._passage_column(corpus)):
            progress.say(
                f"the passages of this run stood in {text[0]}, so this column is read; name another with --text"
            )
        return Indexing(self.reader, self._digest, progress).of(corpus, text=text)

    def asked(self, queries: Sequence[tuple[str, ...]], say: Say) -> list[Question]:
        """Texts as questions."""
        asked = ["\n".join(filter(None, query)) for query in queries]
        tokens = encode(asked, self.reader.tokenizer)
        if long := sum(len(query) > self.reader.length - FRAME for query in tokens):
            say(
                f"{long:,} of {len(asked):,} queries are cut to the {self.reader.length} tokens that the model reads"
            )
        vectors = unit(self.reader.vectors(tokens))
        return [Question(query, vector) for query, vector in zip(asked, vectors, strict=True)]

    def answers(self, index: Index, questions: Sequence[Question], top: int) -> Iterator[dict[str, Any]]:
        """What each question finds: ``top`` documents by cosine, each with its place and its nearest window."""
        if not questions:
            return
        vectors = np.stack([question.vector for question in questions])
        scores, documents = index.vectors.nearest(vectors, top)
        for question, *found in zip(questions, scores.tolist(), documents.tolist(), strict=True):
            hits: list[dict[str, Any]] = []
            for rank, (score, document) in enumerate(zip(*found, strict=True), 1):
                windows, example = index.vectors.of(document), index.documents[document]
                start, end = windows.spans[int((windows.vectors @ question.vector).argmax())].tolist()
                place = {"path": example.path, "row": example.row, "start": start, "end": end}
                hits.append(
                    {"rank": rank, "score": round(score, 6), **place, "text": example.text[start:end]}
                )
            yield {"query": question.asked, "hits": hits}

    def _passage_column(self, corpus: Corpus) -> tuple[str, ...] | None:
        """The column that held the passages of a run fine-tuned to find them, where every table has it, if any."""
        if self.card.get("task") != RETRIEVAL or not self.card.get("label"):
            return None
        column = str(self.card["label"])
        tables = [source for source in find_sources(corpus) if source.kind != "text"]
        return (column,) if tables and all(column in open_table(table).columns for table in tables) else None

    @property
    def _digest(self) -> str:
        """Of all that the model's vectors depend on."""
        weights = model_folder(self.path) / WEIGHTS
        found = hashlib.blake2b(digest_size=16)
        found.update(
            f"{getattr(self.reader.model.backbone, 'settings', None)}{self.reader.sequencer.digest}"
            f"{'' if self.reader.precision == 'fp32' else self.reader.precision}".encode()
        )
        with weights.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()


def search(
    folder: RunFolder,
    corpus: Corpus,
    query: str,
    *,
    top: int = 10,
    text: Sequence[str] | None = None,
    sheet: Path | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """What one query finds in a corpus: a text, or the name of a file; ``sheet`` draws what it finds.

    A run of pairs finds what its other side asks for: pictures by a text, a text by a picture.
    """
    if reason := flaw(query) or (None if query.strip() else "nothing but blanks"):
        raise UsageError(f"the query holds {reason}; expected a text to look for")
    _refuse_none(top)
    searcher = Searcher.load(folder, corpus)
    asker = Asker(folder, searcher.reader)
    with Progress(quiet=quiet) as progress:
        if searcher.reads_media:
            question = asker.of(query)
            return searcher.media(corpus, progress).answer(question, top, sheet)
        if sheet is not None:
            raise UsageError("--sheet draws pictures, and this run reads text; leave it out")
        index = searcher.index(corpus, text=text, progress=progress)
        of_pairs = searcher.reader.tower is not None
        questions = [asker.of(query)] if of_pairs else searcher.asked([(query,)], progress.say)
        return next(searcher.answers(index, questions, top))


def search_rows(
    folder: RunFolder,
    corpus: Corpus,
    *,
    top: int = 10,
    text: Sequence[str] | None = None,
    quiet: bool = True,
) -> Iterator[dict[str, Any]]:
    """What each query of standard input finds; a line that cannot be read is answered by the reason."""
    _refuse_none(top)
    searcher, problems = Searcher.load(folder, corpus), Problems()
    with Progress(quiet=quiet) as progress:
        if searcher.reads_media:
            found = searcher.media(corpus, progress)
            for question in Asker(folder, searcher.reader).each(sys.stdin, problems):
                if isinstance(question, Question):
                    yield found.answer(question, top)
                else:
                    yield error_of(question)
        elif searcher.reader.tower is not None:
            index = searcher.index(corpus, text=text, progress=progress)
            for question in Asker(folder, searcher.reader).each(sys.stdin, problems):
                if isinstance(question, Question):
                    yield from searcher.answers(index, [question], top)
                else:
                    yield error_of(question)
        else:
            index = searcher.index(corpus, text=text, progress=progress)
            for part in read_rows("-", Asking(text=searcher.query_columns), problems):
                questions = searcher.asked(texts_in(contents_of(part)), progress.say)
                yield from with_errors(part, searcher.answers(index, questions, top))
    refuse_unanswered(problems)


def _one(corpus: Corpus) -> PathLike:
    """One file or folder: what is asked of a model of pictures."""
    paths = paths_in(corpus)
    if len(paths) != 1:
        raise UsageError(f"pictures are looked for in one file or folder; found {len(paths)}")
    return paths[0]


def _refuse_none(top: int) -> None:
    if top < 1:
        raise UsageError(f"top = {top}; expected 1 or more documents")


def in_words(answer: Mapping[str, Any]) -> str:
    """What a query found, a document a paragraph: its rank, its cosine, its place, the beginning of its excerpt."""
    if "error" in answer:
        return f"row {answer['row']}: {answer['error']}"
    lines = [str(answer["query"])]
    for hit in answer["hits"]:
        place = f"{hit['path']}:{hit['row']}"
        excerpt = " ".join(str(hit.get("text", hit.get("label", ""))).split())
        shown = excerpt if len(excerpt) <= SHOWN_CHARACTERS else f"{excerpt[:SHOWN_CHARACTERS]}…"
        lines += [f"{hit['rank']:>3}. {hit['score']:.3f}  {place}", *([f"     {shown}"] if shown else [])]
    return "\n".join(lines)
