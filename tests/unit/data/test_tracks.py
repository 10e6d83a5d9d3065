"""The sound of clips: what is heard, what is refused, and pairs of clips and their own sound."""

import io
import random
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from headwater.data.pair_rows import Pairing, Place
from headwater.data.pairing import find_pairs
from headwater.data.problems import Problems
from headwater.data.readers import sounds
from headwater.data.readers.media import read_media
from headwater.data.readers.sounds import Recording
from headwater.data.readers.tracks import decoded_track
from headwater.errors import BadDataError

RATE = 8_000
KINDS = {"mp4": "aac", "avi": "pcm_s16le", "matroska": "pcm_s16le"}
MUTATIONS = 25


def sounding(seconds: float = 1.0, kind: str = "matroska", channels: int = 1, pitch: float = 500.0) -> bytes:
    """A grey clip that sounds a sine at half of full scale; of two channels one is silent."""
    stream = io.BytesIO()
    times = np.arange(int(RATE * seconds)) / RATE
    wave = np.zeros((channels, len(times)), np.float32)
    wave[0] = 0.5 * np.sin(2 * np.pi * pitch * times)
    with av.open(stream, "w", format=kind) as container:
        film: Any = container.add_stream("mpeg4", rate=10)
        film.height = film.width = 16
        track: Any = container.add_stream(
            KINDS[kind], rate=RATE, layout="mono" if channels == 1 else "stereo"
        )
        for _ in range(max(1, int(10 * seconds))):
            container.mux(film.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 90, np.uint8))))
        container.mux(film.encode())
        sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout=track.layout.name)
        sound.rate = RATE
        for frame in av.AudioResampler(format=track.format, layout=track.layout, rate=RATE).resample(sound):
            container.mux(track.encode(frame))
        container.mux(track.encode())
    return stream.getvalue()


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


def test_channels_are_averaged() -> None:
    found = decoded_track(io.BytesIO(sounding(channels=2)))
    assert np.abs(found.samples).max() / sounds.FULL_SCALE == pytest.approx(0.25, abs=0.005)


def test_a_silent_film_and_what_is_no_clip_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska") as container:
        film: Any = container.add_stream("mpeg4", rate=10)
        film.height = film.width = 16
        container.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(film.encode())
    stream.seek(0)
    with pytest.raises(BadDataError, match="no sound: the clip is silent"):
        decoded_track(stream)
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
    for number, pitch in enumerate((300.0, 900.0)):
        (tmp_path / f"{number}.mkv").write_bytes(sounding(pitch=pitch))
    found = find_pairs(tmp_path, Pairing(sides=("video", "audio")))
    assert found.how == "clips and their own sound"
    assert [(row.first, row.second) for row in found.rows] == [
        2 * (Place(str(tmp_path / f"{number}.mkv"), 1),) for number in range(2)
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
