"""The verbs of Python and of the command line: pretrain, finetune, resume, and what a run can do.

``run = hw.pretrain("notes/", size="tiny"); clf = hw.finetune(run, "labels.csv"); clf.predict(["a text"])``
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.data.encodings import encoding_named
from headwater.data.examples import Example
from headwater.data.problems import Problems
from headwater.errors import (
    HeadwaterError,
    InterruptedRunError,
    MissingInputError,
    PreemptedError,
    UsageError,
)
from headwater.models.generation import Sampling
from headwater.run.answering import Answerer, Asked
from headwater.run.asked_rows import (
    AskedRow,
    contents_of,
    read_rows,
    refuse_unanswered,
    with_errors,
)
from headwater.run.choosing_settings import Paths, choices_of, paths_of, refuse_other_shapes, settings_of
from headwater.run.drawing_pictures import draw_pictures
from headwater.run.finetuning import carry_on_finetuning
from headwater.run.folder import RunFolder, storage
from headwater.run.generating import Author, Decoding, goes_on
from headwater.run.indexing import Corpus
from headwater.run.judging_pairs import PairJudge
from headwater.run.pretraining import carry_on_pretraining
from headwater.run.searching import search
from headwater.run.settings import RunSettings
from headwater.run.summary import RunsTable, RunSummary, Verification, summary_of, verification_of
from headwater.run.tasks.task import Report
from headwater.run.writing_rows import write_rows
from headwater.run.zero_shot import carry_on_zero_shot
from headwater.training import distributed
from headwater.training.checkpoint import CheckpointFolder
from headwater.training.progress import Progress

SCRATCH = "scratch"
LONGEST_NAME = 1024
"""Characters of a path; what is longer is a text."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, and what one can do with it."""

    folder: RunFolder

    @property
    def path(self) -> Path:
        """Where the run is."""
        return self.folder.path

    @property
    def summary(self) -> RunSummary:
        """What the run is, how far it is, how good."""
        return summary_of(self.folder)

    def predict(self, rows: Asked | Sequence[Asked]) -> list[dict[str, Any]]:
        """The answer to each text, pair of texts or picture (a file, or an array), as its task answers."""
        answerer = self._answerer()
        return list(answerer.predict(answerer.contents(rows)))

    def embed(self, rows: Asked | Sequence[Asked]) -> NDArray[np.float32]:
        """One vector a text, picture or pair: the mean of its last hidden states, of a pair what its two towers say.

        Shape (rows, width).
        """
        answerer = self._answerer(_file_in(rows))
        return answerer.embed(answerer.contents(rows))

    def evaluate(
        self,
        test: str | Path,
        *,
        text: Sequence[str] | None = None,
        label: str | None = None,
        quiet: bool = True,
    ) -> Report:
        """Metrics on labelled rows, each with its 95 % interval; of pairs, how often each side finds the other."""
        with Progress(quiet=quiet) as progress:
            if judge := PairJudge.of_run(self.folder):
                return judge.judge(Path(test), text=text, label=label, progress=progress)
            return self._answerer().evaluate(Path(test), text=text, label=label, progress=progress)

    def predict_rows(
        self, rows: str, *, text: Sequence[str] | None = None, quiet: bool = True
    ) -> Iterator[dict[str, Any]]:
        """The answer to each row of a file, or of standard input where ``rows`` is "-".

        A line of standard input that cannot be read is answered by its number and the reason, the others go
        on. Raises BadDataError after the last answer if rows were left out.
        """
        answerer, problems = self._answerer(), Problems()
        for part in self._watched_rows(answerer, rows, text, problems, quiet):
            yield from with_errors(part, answerer.predict(contents_of(part)))
        refuse_unanswered(problems)

    def embed_rows(
        self, rows: str, *, text: Sequence[str] | None = None, quiet: bool = True
    ) -> Iterator[dict[str, Any]]:
        """The vector of each row of a file, or of standard input."""
        answerer, problems = self._answerer(rows), Problems()
        for part in self._watched_rows(answerer, rows, text, problems, quiet, vectors=True):
            vectors = answerer.embed(contents_of(part))
            yield from with_errors(
                part, ({"vector": [round(float(number), 6) for number in vector]} for vector in vectors)
            )
        refuse_unanswered(problems)

    def embed_file(
        self, rows: str, out: Path, *, text: Sequence[str] | None = None, quiet: bool = True
    ) -> dict[str, Any]:
        """Write the vectors of a file's rows as a numpy array; those of rows that cannot be read are no numbers."""
        answerer = self._answerer(rows)
        with storage(out):  # a folder that cannot be written is better known before the work
            out.parent.mkdir(parents=True, exist_ok=True)
        problems = Problems()
        blocks = [np.zeros((0, answerer.width), np.float32)]
        for part in self._watched_rows(answerer, rows, text, problems, quiet, vectors=True):
            block = np.full((len(part), answerer.width), np.nan, np.float32)
            if contents := contents_of(part):
                block[[isinstance(row, Example) for row in part]] = answerer.embed(contents)
            blocks.append(block)
        vectors = np.concatenate(blocks)
        with storage(out), out.open("wb") as file:
            np.save(file, vectors)
        refuse_unanswered(problems)
        return {"out": str(out), "rows": len(vectors), "width": int(vectors.shape[1])}

    def search(
        self,
        corpus: Corpus,
        query: str,
        *,
        top: int = 10,
        text: Sequence[str] | None = None,
        sheet: Path | None = None,
        quiet: bool = True,
    ) -> list[dict[str, Any]]:
        """The documents of files or folders nearest to a query, each with its cosine, its place and its best window.

        A model of pictures takes the name of one as the query, and ``sheet`` draws what it finds. The corpus is
        embedded once; its vectors are kept in the cache until its content or the model changes.
        """
        return search(self.folder, corpus, query, top=top, text=text, sheet=sheet, quiet=quiet)["hits"]

    def generate(
        self, prompts: Sequence[str], decoding: Decoding | None = None, *, quiet: bool = True
    ) -> list[dict[str, Any]]:
        """A continuation of each prompt: its text, how many tokens it has, and whether it came to its own end."""
        author, decoding = Author.load(self.folder), decoding or Decoding()
        prompts = [prompts] if isinstance(prompts, str) else prompts
        with Progress(quiet=quiet) as progress:
            for remark in author.remarks(prompts, decoding):
                progress.say(remark)
            progress.stage("texts", len(prompts))
            return list(author.answer(prompts, decoding, progress.update))

    def draw(
        self,
        out: str | Path,
        count: int = 16,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        top_p: float = 0.95,
        quiet: bool = True,
    ) -> dict[str, Any]:
        """New pictures of a run of image_generation in one file; a temperature of 0 draws the likeliest."""
        sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed)
        with Progress(quiet=quiet) as progress:
            return draw_pictures(self.folder, Path(out), count, sampling, progress)

    def translate(
        self, texts: Sequence[str], decoding: Decoding | None = None, *, quiet: bool = True
    ) -> list[str]:
        """What is written from each text: by five beams where nothing else is asked for."""
        answers = self.generate(texts, (decoding or Decoding()).for_translation(), quiet=quiet)
        return [answer["text"] for answer in answers]

    def stream(self, prompt: str, decoding: Decoding | None = None) -> Iterator[str]:
        """The continuation of a prompt, piece by piece as it is written."""
        return Author.load(self.folder).stream(prompt, decoding or Decoding())

    def generate_rows(
        self,
        rows: str,
        decoding: Decoding,
        *,
        text: Sequence[str] | None = None,
        quiet: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """A continuation of each row of a file, or of standard input.

        What translates answers every line of plain text in its place, a blank one with an empty text.
        """
        author = Author.load(self.folder)
        with Progress(quiet=quiet) as progress:
            yield from write_rows(author, rows, decoding, text=text, progress=progress)

    @property
    def goes_on(self) -> bool:
        """Whether it writes on from a prompt, and not a text of its own from a source."""
        return goes_on(self.folder)

    def _watched_rows(
        self,
        answerer: Answerer,
        rows: str,
        text: Sequence[str] | None,
        problems: Problems,
        quiet: bool,
        *,
        vectors: bool = False,
    ) -> Iterator[list[AskedRow]]:
        """A file's rows, about a thousand at a time, with progress on standard error."""
        done = 0
        with Progress(quiet=quiet) as progress:
            progress.stage("rows")
            for part in read_rows(rows, answerer.asking(text, vectors=vectors), problems):
                yield part
                done += len(part)
                progress.update(done)

    def to_dict(self) -> dict[str, Any]:
        """The run's summary as plain values."""
        return self.summary.to_dict()

    def _answerer(self, rows: str | Path | None = None) -> Answerer:
        return Answerer.load(self.folder, None if str(rows) == "-" else rows)

    def __str__(self) -> str:
        return str(self.summary)

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.summary.line}>"

    def _repr_html_(self) -> str:
        return self.summary.html()


def pretrain(
    data: Paths = (),
    *,
    out: str | Path = "runs/pretrained",
    settings: str | Path | None = None,
    assign: Sequence[str] = (),
    quiet: bool = False,
    **choices: Any,
) -> Run:
    """Pre-train on unlabelled data and give back the run.

    ``choices`` are the command line's options: objective, size, steps, minutes, text, encoding, pair, weights,
    hold_out, probe, start_from, stop_when_flat, seed. ``assign`` holds ``a.b=c`` texts for any other setting.
    """
    if isinstance(parent := choices.get("start_from"), Run):
        choices["start_from"] = parent.path
    values = settings_of("pretrain", settings, choices_of(choices, paths=paths_of(data) or None), assign)
    return _begin(out, values, quiet)


def finetune(
    run: "str | Path | Run",
    train: str | Path,
    *,
    out: str | Path = "runs/finetuned",
    task: str | None = None,
    settings: str | Path | None = None,
    assign: Sequence[str] = (),
    quiet: bool = False,
    **choices: Any,
) -> Run:
    """Fine-tune a run (or "scratch": random weights) on labelled rows and give back the new run.

    ``task`` is what the file ``settings`` says where it is not given, else classification.
    ``choices``: text, encoding, label, pair, validation, template, names, size, steps, minutes, adapt, seed.
    """
    start = _start(run)
    if start is not None and choices.get("size") is not None:
        raise UsageError(
            f"--size {choices['size']} does not fit: {start} brings its size; only 'scratch' takes one"
        )
    given = choices_of(choices, paths=paths_of(train), task=task)
    values = settings_of("finetune", settings, given, assign)
    return _begin(out, replace(values, start_from=start), quiet)


def resume(run: "str | Path | Run", *, quiet: bool = False) -> Run:
    """Go on with a run where its newest checkpoint stands; a finished run is given back as it is."""
    folder = RunFolder.open(_path(run))
    return Run(folder) if folder.finished else _carry_on(folder, quiet)


def verify_run(run: "str | Path | Run") -> Verification:
    """Prove that the newest checkpoint and the shipped model of a run are whole, or say what is not."""
    return verification_of(RunFolder.open(_path(run)))


def open_run(run: "str | Path | Run", *, precision: str | None = None, engine: str | None = None) -> Run:
    """A run that stands in a folder, read in fp32, in bf16, or ("auto") in bf16 where the processor has it.

    ``engine`` "ctranslate2" writes texts with that library, in fp32 or ``precision`` "int8". Without either: as the
    run is read already, or by torch in fp32.
    """
    if isinstance(run, Run) and precision is None and engine is None:
        return Run(run.folder)
    return Run(RunFolder.open(_path(run), precision=precision or "fp32", engine=engine or "torch"))


def runs(folder: str | Path = "runs") -> RunsTable:
    """All runs below a folder."""
    return RunsTable.of(Path(folder))


def _begin(out: str | Path, settings: RunSettings, quiet: bool) -> Run:
    refuse_other_shapes(settings)
    world = distributed.start()
    world.on_first(lambda: str(RunFolder.create(out, settings).path))
    folder = RunFolder(Path(out))
    try:
        return _carry_on(folder, quiet)
    except (InterruptedRunError, PreemptedError):
        raise  # nothing is wrong with the run: it goes on from where it was, be it the very beginning
    except HeadwaterError:
        if world.first:
            folder.discard_unbegun()
        raise


def _carry_on(folder: RunFolder, quiet: bool) -> Run:
    settings = folder.settings()
    go_on = _way_of(settings)
    world = distributed.start()
    world.on_first(lambda: _sweep(folder))
    with encoding_named(settings.data.encoding), Progress(quiet=quiet or not world.first) as progress:
        if moved := folder.moved():
            progress.say(moved)
        go_on(folder, progress)
    return Run(folder)


def _way_of(settings: RunSettings) -> Callable[[RunFolder, Progress], None]:
    """How such a run is made."""
    if settings.kind == "pretrain":
        return carry_on_pretraining
    return carry_on_zero_shot if settings.task == "zero_shot" else carry_on_finetuning


def _sweep(folder: RunFolder) -> None:
    folder.sweep()
    # Not left to the next save: a run that was killed after its last one makes no more.
    CheckpointFolder(folder.checkpoints).sweep()


def _file_in(rows: Asked | Sequence[Asked]) -> Path | None:
    """A file among the rows that Python asks about: what it is tells which side of a pair they are."""
    every = [rows] if isinstance(rows, str | Path) else rows
    names = (Path(row) for row in every if isinstance(row, str | Path) and len(str(row)) < LONGEST_NAME)
    return next((name for name in names if name.is_file()), None)


def _path(run: "str | Path | Run") -> Path:
    return run.path if isinstance(run, Run) else Path(run)


def _start(run: "str | Path | Run") -> str | None:
    if str(run) == SCRATCH:
        return None
    if not _path(run).is_dir():
        raise MissingInputError(
            f"there is no run {_path(run)}; name a run folder, a model folder, or 'scratch' for random weights"
        )
    return str(_path(run))
