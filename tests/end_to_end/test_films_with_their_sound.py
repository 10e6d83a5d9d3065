"""One answer for what is seen and what is heard in a film: by table, line and Python, as two files or as one."""

import io
import json
from pathlib import Path

import pytest

import headwater as hw
from tests.films import sounding

ASSIGN = ["machine.threads=1", "data.side=16"]


@pytest.fixture(scope="module")
def cinema(workplace: Path, cache: object) -> Path:
    """A table beside films elsewhere: high and bright, or low and dark."""
    folder, films = workplace / "cinema", workplace / "reels"
    folder.mkdir()
    films.mkdir()
    lines = ["film\tkind"]
    for number in range(24):
        high = number % 2
        film = films / f"{number}.mkv"
        film.write_bytes(sounding(pitch=(300, 1500)[high] + number, grey=(40, 200)[high] + number))
        lines.append(f"{film}\t{('low', 'high')[high]}")
    (films / "silent.mkv").write_bytes(sounding(channels=0))
    (folder / "films.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def watcher(cinema: Path) -> hw.Run:
    return hw.finetune(
        "scratch",
        cinema / "films.tsv",
        pair=["video", "audio"],
        label="kind",
        size="nano",
        steps=4,
        assign=ASSIGN,
        out=cinema / "watcher",
        quiet=True,
    )


def test_a_film_is_asked_about_by_table_line_and_python(
    watcher: hw.Run, cinema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = cinema.parent / "reels" / "1.mkv"
    in_table = list(watcher.predict_rows(str(cinema / "films.tsv")))[1]["probabilities"]
    lines = [
        f"{film}\n",
        f"{film}\t{film}\n",
        json.dumps({"film": str(film)}) + "\n",
        json.dumps({"video": str(film), "audio": str(film)}) + "\n",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(lines)))
    asked = [film, str(film), (film, film), {"film": film}]
    found = [*watcher.predict_rows("-"), *watcher.predict(asked)]
    assert len(found) == 8
    vectors = watcher.embed(asked)
    assert vectors == pytest.approx(vectors[[0] * len(asked)], abs=1e-5)
    for answer in found:
        assert answer["probabilities"] == pytest.approx(in_table, abs=1e-5)


def test_a_film_that_does_not_sound_says_so(
    watcher: hw.Run, cinema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = cinema.parent / "reels" / "silent.mkv"
    with pytest.raises(hw.HeadwaterError, match=r"silent.mkv: no sound: the clip is silent"):
        watcher.predict([silent])
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{silent}\nno film\tat all\textra\n"))
    found = []
    with pytest.raises(hw.HeadwaterError, match="2 of 2 rows left out"):
        found.extend(watcher.predict_rows("-"))
    assert "it has no sound track" in found[0]["error"]
    assert "or a film alone" in found[1]["error"]
