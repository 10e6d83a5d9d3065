"""The rows of a gain experiment: who may learn from what, who is judged on what, and what leaked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.pictures import png
from headwater.data.examples import Example
from headwater.data.kinds import Split
from headwater.data.pair_cut import PairCut, RowCut, row_cut_of
from headwater.data.splits import content_digest, known_digests
from headwater.errors import BadDataError
from headwater.experiments.floor import Floor, floor_of
from headwater.experiments.judgement import Leaks
from headwater.experiments.plan import rows_apart, take_validation
from headwater.run.labelled import left_out
from headwater.run.seen import Seen, fine_tuned_on
from headwater.run.tasks import ClassificationTask


@dataclass(frozen=True, kw_only=True, slots=True)
class GainRows:
    """Training, validation, test and shifted test rows, disjoint by content, over the same labels."""

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    shifted: Sequence[Example] | None
    names: tuple[str, ...]
    text: tuple[str, ...]
    label: str | None
    cut: RowCut | None
    leaks: Leaks
    shifted_leaks: Leaks
    notes: tuple[str, ...]

    @property
    def floor(self) -> Floor:
        """What stands under the experiment."""
        return floor_of(self.cut)

    @property
    def train_labels(self) -> list[str]:
        """The label of each training row."""
        return [example.label or "" for example in self.train]

    @property
    def train_digests(self) -> list[int]:
        """The digest of each training row."""
        return digests_of(self.train)

    def picture(self, place: int) -> bytes:
        """A test row as a PNG file, of a pair its first picture; nothing of a text."""
        row = self.test[place]
        if isinstance(self.cut, PairCut):
            shown = self.cut.shown(row.both)
            return b"" if shown is None else png(shown)
        return b"" if row.pixels is None or self.cut is None else png(self.cut.shown(row.pixels))

    def numbers(self, rows: Sequence[Example]) -> NDArray[np.int64]:
        """The label of each row by number."""
        return np.array([self.names.index(example.label or "") for example in rows], dtype=np.int64)


def gain_rows(
    train: Path,
    test: Path,
    *,
    seen: Seen | None,
    cut: RowCut | None = None,
    text: Sequence[str] | None = None,
    label: str | None = None,
    validation: Path | None = None,
    shifted: Path | None = None,
) -> GainRows:
    """Read the files, as pictures where there is a ``cut``, and draw the borders between them.

    Training rows that equal a test or validation row are dropped. Without a validation file, a tenth of each class is
    taken out of the training rows before any budget is drawn. Test rows among what was ``seen`` have leaked.
    """
    given = ClassificationTask.read_rows(train, text=text, label=label, split="train", cut=cut)
    notes = left_out(given.problems)
    names = given.labels
    if len(names) < 2:
        raise BadDataError(
            f"{train} holds {len(names)} label(s): {', '.join(names)}; gain needs at least two"
        )
    columns = _Columns(
        text=given.text_columns,
        label=given.label_column if given.labels_in_column else label,
        cut=cut and row_cut_of(given.facts["cut"]),
    )
    judged = columns.read(test, "test", names, notes)
    other = None if shifted is None else columns.read(shifted, "test", names, notes)
    checked = [] if validation is None else columns.read(validation, "validation", names, notes)

    learnt = list(given.examples)
    held_out = {*_known_by(judged), *_known_by(checked), *_known_by(other or ())}
    apart = rows_apart(map(known_digests, learnt), held_out)
    dropped = int((~apart).sum())
    learnt = [example for example, keep in zip(learnt, apart, strict=True) if keep]
    if dropped:
        notes.append(f"{dropped} training rows {_equal(cut)} a test or validation row and were dropped")
    if not learnt:
        raise BadDataError(
            f"{train}: none of its {len(given.examples)} rows is left: all {_equal(cut)} a test or validation row; "
            "give training rows that are not in these"
        )
    if validation is None:
        chosen = take_validation([example.label or "" for example in learnt], list(map(_drawn_by, learnt)))
        checked = [example for example, taken in zip(learnt, chosen, strict=True) if taken]
        learnt = [example for example, taken in zip(learnt, chosen, strict=True) if not taken]
        notes.append(
            f"{len(checked)} labelled rows, a tenth of {train.name}, were taken out to choose settings on"
        )
    else:
        apart = rows_apart(map(known_digests, checked), {*_known_by(judged), *_known_by(other or ())})
        if dropped_too := int((~apart).sum()):
            notes.append(f"{dropped_too} validation rows {_equal(cut)} a test row and were dropped")
        checked = [example for example, keep in zip(checked, apart, strict=True) if keep]
    if not (checked and learnt):
        raise BadDataError(
            f"{validation or train}: no row is left to {'learn from' if checked else 'choose settings on'}; expected "
            "two rows of each label at least; give more, or rows to choose on with --validation FILE"
        )
    among = (seen or Seen()).rows_among
    (exact, near), (other_exact, other_near) = among(judged), among(other or ())
    if known := len({*chain(*among(checked))}) if validation is not None else 0:
        notes.append(
            f"{known} of {len(checked)} validation rows were in what the model was trained on before: settings are "
            "chosen on them all the same"
        )
    return GainRows(
        train=learnt,
        validation=checked,
        test=judged,
        shifted=other,
        names=names,
        text=given.text_columns,
        label=given.label_column,
        cut=cut,
        leaks=Leaks(exact=exact, near=near, dropped_train_rows=dropped),
        shifted_leaks=Leaks(exact=other_exact, near=other_near),
        notes=(*notes, *(seen.notes if seen is not None else ())),
    )


def fine_tuned_on_note(run: Path, rows: Sequence[Example]) -> tuple[str, ...]:
    """What is to be said of training rows whose labels the run knows already; nothing where it knows none."""
    if not (known := fine_tuned_on(run, rows)):
        return ()
    return (
        f"{known:,} of {len(rows):,} training rows were fine-tuned on before, with their labels: the pre-trained arm "
        "knows more labels than the budgets say",
    )


def _known_by(rows: Sequence[Example]) -> set[int]:
    """By what these rows are known again; of pairs by each picture, recording and clip."""
    return {digest for row in rows for digest in known_digests(row)}


def _drawn_by(row: Example) -> int:
    """What is drawn together for validation: equal rows, of pairs those with the same picture, recording or clip."""
    return known_digests(row)[-1] if row.both is not None else content_digest(row)


def _equal(cut: RowCut | None) -> str:
    return "share what is seen or heard with" if isinstance(cut, PairCut) else "equal"


def digests_of(rows: Sequence[Example]) -> list[int]:
    """The content digest of each row."""
    return [content_digest(example) for example in rows]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Reads further files with the columns that the training file has."""

    text: tuple[str, ...]
    label: str | None
    cut: RowCut | None

    def read(self, path: Path, split: Split, names: Sequence[str], notes: list[str]) -> list[Example]:
        part = ClassificationTask.read_rows(path, text=self.text, label=self.label, split=split, cut=self.cut)
        notes += left_out(part.problems)
        known = [example for example in part.examples if example.label in names]
        if len(known) < len(part.examples):
            strange = sorted({example.label or "" for example in part.examples} - set(names))
            notes.append(
                f"{len(part.examples) - len(known)} rows of {path.name} carry labels that no training row has "
                f"({', '.join(strange[:5])}) and were left out"
            )
        if not known:
            raise BadDataError(
                f"no row of {path} carries a label of the training file ({', '.join(names[:5])} …); "
                "is it the same task?"
            )
        return known
