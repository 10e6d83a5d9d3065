"""The sound of clips: what is heard, what is refused, and pairs of clips and their own sound."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from headwater.data.cutting import SoundCut
from headwater.data.pair_rows import Pairing, Place
from headwater.data.pairing import find_pairs
from headwater.data.problems import Problems
from headwater.data.readers import sounds
from headwater.data.readers.media import read_media
from headwater.data.readers.sounds import Recording
from headwater.data.readers.tracks import _as_floats, decoded_track
from headwater.errors import BadDataError
from tests.films import KINDS, RATE, frame_of, sounding

MUTATIONS = 25


def loudest_pitch(found: Recording) -> float:
    return float(np.abs(np.fft.rfft(found.samples)).argmax() * found.rate / len(found.samples))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sound_of_a_clip_comes_back(kind: str) -> None:
    found = decoded_track(io.BytesIO(sounding(kind=kind)))
    assert found.rate == RATE
    assert not found.cut
    assert abs(len(found.samples) - RATE) <= 2 * 1_024  # AAC rounds up to its frames, and begins with one
    assert abs(loudest_pitch(found) - 500) < 2
    assert np.abs(found.samples[1_000:7_000]).max() / sounds.FULL_SCALE == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("channels", [2, 8])
def test_channels_are_averaged(channels: int) -> None:
    found = decoded_track(io.BytesIO(sounding(channels=channels)))
    assert np.abs(found.samples).max() / sounds.FULL_SCALE == pytest.approx(0.5 / channels, abs=0.005)


def test_channels_may_change_on_the_way() -> None:
    frames = [frame_of(np.full((channels, 100), 0.5, np.float32)) for channels in (2, 1)]
    found = list(_as_floats(iter(frames), RATE))
    assert [block.layout.nb_channels for block in found] == [2, 1]
    assert sum(block.samples for block in found) == 200


def test_a_silent_film_and_what_is_no_clip_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadDataError, match="no sound: the clip is silent"):
        decoded_track(io.BytesIO(sounding(channels=0)))
    with pytest.raises(BadDataError, match="no sound: Invalid data"):
        decoded_track(io.BytesIO(b"nothing of the kind" * 20))
    monkeypatch.setattr(sounds, "LONGEST_SECONDS", 0)
    with pytest.raises(BadDataError, match="hours"):
        decoded_track(io.BytesIO(sounding()))


def test_damaged_clips_are_heard_as_far_as_they_go_or_refused() -> None:
    whole = sounding()
    rng = random.Random(0)
    for _ in range(MUTATIONS):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            found = decoded_track(io.BytesIO(bytes(damaged[: rng.randint(1, len(damaged))])))
        except BadDataError as problem:
            assert str(problem).startswith("no sound")
        else:
            assert len(found.samples)


def test_clips_belong_to_their_own_sound_where_both_are_asked_for(tmp_path: Path) -> None:
    for name, pitch in (("0.avi", 300.0), ("0.mkv", 900.0)):  # of one name, and yet two
        (tmp_path / name).write_bytes(sounding(pitch=pitch, kind="avi" if name == "0.avi" else "matroska"))
    found = find_pairs(tmp_path, Pairing(sides=("video", "audio")))
    assert found.how == "clips and their own sound"
    assert [(row.first, row.second) for row in found.rows] == [
        2 * (Place(str(tmp_path / name), 1),) for name in ("0.avi", "0.mkv")
    ]
    problems = Problems()
    heard = [medium.content for medium in read_media(found.sources(1), problems)]
    assert [round(loudest_pitch(sound) / 100) for sound in heard if isinstance(sound, Recording)] == [3, 9]
    assert find_pairs(tmp_path, Pairing()).sides == ("video", "flow")


def test_a_table_of_clips_is_read_for_their_sound_as_well(tmp_path: Path) -> None:
    (tmp_path / "0.mkv").write_bytes(sounding())
    (tmp_path / "clips.tsv").write_text("file\tplace\n0.mkv\tthe harbour\n", encoding="utf-8")
    found = find_pairs(tmp_path / "clips.tsv", Pairing(sides=("video", "audio")))
    assert (
        [row.first for row in found.rows]
        == [row.second for row in found.rows]
        == [Place(str(tmp_path / "0.mkv"), 1)]
    )
    assert [source.kind for source in found.sources(1)] == ["track"]
    assert found.how == "clips and their own sound in file"


def test_films_elsewhere_that_a_table_leads_to_are_heard(tmp_path: Path) -> None:
    for folder in ("films", "sounds", "tables"):
        (tmp_path / folder).mkdir()
    film, sound = tmp_path / "films" / "0.mkv", tmp_path / "sounds" / "0.wav"
    film.write_bytes(sounding())
    soundfile.write(sound, np.zeros(8000), 16000)
    table = tmp_path / "tables" / "clips.tsv"
    table.write_text(f"file\tplace\n{film}\tthe harbour\n", encoding="utf-8")
    found = find_pairs(table, Pairing(sides=("video", "audio")))
    assert [(row.first, row.second) for row in found.rows] == [2 * (Place(str(film), 1),)]
    assert [source.kind for source in found.sources(1)] == ["track"]
    assert found.how == "clips and their own sound in file"
    named = Pairing.of(["video=file", "audio=file"], None)
    assert find_pairs(table, named).rows == found.rows
    soundfile.write(table.with_name("other.wav"), np.zeros(8000), 16000)  # no column names it
    assert find_pairs(table, Pairing(sides=("video", "audio"))).rows == found.rows
    table.write_text(f"film\tsound\n{film}\t{sound}\n", encoding="utf-8")
    found = find_pairs(table, Pairing(sides=("video", "audio")))
    assert [(row.first, row.second) for row in found.rows] == [(Place(str(film), 1), Place(str(sound), 1))]
    assert [source.kind for source in found.sources(1)] == ["sound"]


def test_arrays_of_clips_have_no_sound(tmp_path: Path) -> None:
    np.savez(tmp_path / "clips.npz", clips=np.zeros((3, 8, 16, 16), np.uint8))
    (tmp_path / "clips.tsv").write_text("index\tplace\n0\tthe harbour\n1\ta street\n", encoding="utf-8")
    for sides in (["video", "audio"], ["video=index", "audio=index"]):
        with pytest.raises(BadDataError, match=r"recordings|no pair can be used"):
            find_pairs(tmp_path / "clips.tsv", Pairing.of(sides, None))


def test_films_none_of_which_sounds_are_called_so(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.mkv").write_bytes(sounding(channels=0))
    found = find_pairs(tmp_path, Pairing(sides=("video", "audio")))
    with pytest.raises(BadDataError, match="none of 3 files is a clip with sound"):
        SoundCut().fitted(found.sources(1))
