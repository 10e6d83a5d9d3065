"""Which test rows a run has seen: as they are, nearly so, or by way of the run that it began from."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data.examples import Both, Example, LabelledSet
from headwater.data.likeness import sketches_of
from headwater.data.readers.media import digest_of
from headwater.data.readers.pictures import Pixels
from headwater.data.splits import Fingerprints
from headwater.run.folder import RunFolder
from headwater.run.seen import Seen, fine_tuned_on, keep_marks
from headwater.run.settings import RunSettings

KNOWN = (
    "a text that was read in pre-training, long enough to be compared word by word with others of its kind"
)


def scene(seed: int) -> Pixels:
    """A picture with slopes and edges, as photographs have them."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    return np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC))


def compressed(pixels: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return np.asarray(Image.open(file))


def row(pixels: Pixels) -> Example:
    return Example((), "a", "test.zip", 1, pixels, digest_of(pixels))


def text(content: str) -> Example:
    return Example((content,), "a", "test.csv", 1)


def run(path: Path, *, start_from: Path | None = None, kind: str = "pretrain") -> Path:
    settings = RunSettings.from_mapping(
        {"kind": kind, "data": {"paths": ["x"]}}
        | ({} if start_from is None else {"start_from": str(start_from)})
    )
    return RunFolder.create(path, settings).path


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    folder = run(tmp_path / "painted")
    pictures = [scene(seed) for seed in range(40)]
    np.save(folder / "digests.npy", np.array([digest_of(pixels) for pixels in pictures], np.int64))
    np.save(folder / "likeness.npy", sketches_of(pictures))
    return folder


def test_pictures_are_known_in_another_encoding(painted: Path) -> None:
    test = [row(scene(3)), row(scene(100)), row(compressed(scene(7))), row(scene(101))]
    assert digest_of(compressed(scene(7))) != digest_of(scene(7))
    exact, near = Seen.of(painted).rows_among(test)
    assert exact == (0,)
    assert near == (0, 2)
    grey = [row(scene(3)[..., :1])]
    assert Seen.of(painted).rows_among(grey) == ((), ())


def test_what_the_parent_has_seen_was_seen(painted: Path, tmp_path: Path) -> None:
    child = run(tmp_path / "child", start_from=painted)
    np.save(child / "digests.npy", np.array([digest_of(scene(200))], np.int64))
    seen = Seen.of(child)
    assert seen.rows_among([row(scene(200)), row(scene(3)), row(scene(100))])[0] == (0, 1)
    assert seen.notes == ()


def test_texts_are_known_by_any_of_a_line_of_runs(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    second = run(tmp_path / "second", start_from=first)
    for folder, content in (
        (first, KNOWN),
        (second, "something else that is about as long as the other text is"),
    ):
        known = Fingerprints()
        known.add(content)
        known.save(folder / "fingerprints.arrow")
    test = [text("never read"), text(KNOWN), text(KNOWN + " indeed")]
    assert Seen.of(second).rows_among(test) == ((1,), (2,))
    assert Seen(texts=()).rows_among(test) == ((), ())


def test_whoever_has_kept_no_marks_is_named(painted: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    child = run(tmp_path / "child", start_from=gone)
    np.save(child / "digests.npy", np.zeros(0, np.int64))
    (note,) = Seen.of(child).notes
    assert str(gone) in note
    assert "not known" in note


def labelled(*rows: Example, **facts: object) -> LabelledSet:
    return LabelledSet(examples=list(rows), text_columns=("text",), label_column="label", facts=facts)


def test_texts_that_a_run_was_fine_tuned_on_are_known_by_their_rows_and_by_nearly_the_same_text(
    tmp_path: Path,
) -> None:
    tuned = run(tmp_path / "tuned", kind="finetune")
    keep_marks(tuned, labelled(text(KNOWN), text("short")), [KNOWN, "short"])
    child = run(tmp_path / "child", start_from=tuned, kind="finetune")
    keep_marks(child, labelled(text("another")), ["another"])
    test = [text("never read"), text(KNOWN.upper()), text(KNOWN + " indeed"), text("another")]
    assert Seen.of(child).rows_among(test) == ((1, 3), (2,))
    assert Seen.of(child).notes == ()
    assert fine_tuned_on(child, test) == 2


def test_pictures_that_a_run_was_fine_tuned_on_are_known(tmp_path: Path) -> None:
    tuned = run(tmp_path / "tuned", kind="finetune")
    rows = labelled(*(row(scene(seed)) for seed in range(8)), cut={"modality": "image"})
    keep_marks(tuned, rows, [])
    test = [row(scene(3)), row(scene(100)), row(compressed(scene(7)))]
    assert Seen.of(tuned).rows_among(test) == ((0,), (0, 2))
    assert fine_tuned_on(tuned, test) == 1


def test_what_was_learnt_without_labels_was_not_fine_tuned_on(painted: Path, tmp_path: Path) -> None:
    assert fine_tuned_on(painted, [row(scene(3))]) == 0
    assert fine_tuned_on(tmp_path / "none", [row(scene(3))]) == 0


def test_pairs_are_known_by_their_pictures_in_another_encoding_too(tmp_path: Path) -> None:
    def pair(seed: int, title: str, *, pressed: bool = False) -> Example:
        picture = row(compressed(scene(seed)) if pressed else scene(seed))
        assert picture.pixels is not None
        assert picture.digest is not None
        both = Both(picture.pixels, title, (picture.digest,), (picture.pixels,))
        return Example(
            (title,), "a label", "goods.tsv", seed, digest=hash((picture.digest, title)), both=both
        )

    tuned = run(tmp_path / "tuned", kind="finetune")
    keep_marks(tuned, labelled(*(pair(seed, f"title {seed}") for seed in range(8))), ["title 1", KNOWN])
    test = [pair(3, "title 3"), pair(4, "another title"), pair(100, "title 100"), pair(7, "x", pressed=True)]
    exact, near = Seen.of(tuned).rows_among(test)
    assert exact == (0, 1)
    assert near == (0, 1, 3)
    assert fine_tuned_on(tuned, test) == 2
    # One that goes on with the texts alone knows them too.
    child = run(tmp_path / "child", start_from=tuned, kind="finetune")
    keep_marks(child, labelled(text("another")), ["another"])
    assert Seen.of(child).rows_among([text(KNOWN), text("never read")])[0] == (0,)
