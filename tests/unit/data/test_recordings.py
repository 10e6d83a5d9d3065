"""Recordings of every kind: what is decoded, what is refused, and what a spectrogram of them is."""

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import get_window
from transformers.audio_utils import mel_filter_bank, spectrogram

from headwater.data import Problems
from headwater.data.cutting import SoundCut, cut_like, cut_of
from headwater.data.kinds import SOUNDS
from headwater.data.labelled_media import read_labelled_media
from headwater.data.media_pool import build_media_pool
from headwater.data.media_tables import find_media, modality_of
from headwater.data.readers import sounds
from headwater.data.readers.media import read_media
from headwater.data.readers.sounds import Recording, at_rate, decoded_sound
from headwater.data.sequencers import Patches
from headwater.data.spectrogram import Mel, triangles
from headwater.errors import BadDataError

FORMATS = {"WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III", "AIFF": "PCM_16"}
MUTATIONS = 40
ALL_MUTATIONS = 200


def a_tone(hertz: float = 440.0, rate: int = 16_000, seconds: float = 0.5) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    return 0.5 * np.sin(2 * np.pi * hertz * times)


def in_format(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    write: Any = soundfile.write
    write(stream, samples, rate, format=kind, subtype=subtype or FORMATS[kind])
    return stream.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_tone_comes_back_from_every_format(kind: str) -> None:
    found = decoded_sound(io.BytesIO(in_format(a_tone(), 16_000, kind)))
    assert found.rate == 16_000
    assert abs(len(found.samples) - 8_000) <= 2_304  # mp3 adds silence at its ends
    spectrum = np.abs(np.fft.rfft(found.samples.astype(float)))
    assert np.argmax(spectrum) * 16_000 / len(found.samples) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_wav_of_any_depth_is_at_one_scale(subtype: str) -> None:
    found = decoded_sound(io.BytesIO(in_format(a_tone(), 16_000, "WAV", subtype)))
    assert found.samples.max() == pytest.approx(0.5 * 32_767, rel=0.03)


def test_channels_are_averaged_and_rates_changed() -> None:
    left = a_tone(200, 44_100)
    stereo = np.stack((left, np.zeros_like(left)), axis=1)
    found = decoded_sound(io.BytesIO(in_format(stereo, 44_100)))
    assert found.samples.max() == pytest.approx(0.25 * 32_767, rel=0.01)
    slower = at_rate(found, 8_000)
    assert len(slower) == pytest.approx(4_000, abs=2)
    spectrum = np.abs(np.fft.rfft(slower.astype(float)))
    assert np.argmax(spectrum) * 8_000 / len(slower) == pytest.approx(200, abs=2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no sound"), (b"RIFF", "no sound"), (in_format(np.zeros(0), 8_000), "not one sample")],
)
def test_what_is_no_sound_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(BadDataError, match=reason):
        decoded_sound(io.BytesIO(content))


def test_a_file_of_silence_that_goes_on_for_days_is_refused() -> None:
    content = in_format(np.zeros(5 * 3600), 1, "FLAC")
    with pytest.raises(BadDataError, match="more than 4 hours"):
        decoded_sound(io.BytesIO(content))


def test_more_samples_than_anyone_records_are_refused_before_they_are_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = in_format(np.zeros((1_000, 8)), 8_000, "FLAC")
    monkeypatch.setattr(sounds, "MOST_SAMPLES", 999)
    with pytest.raises(BadDataError, match="million samples"):
        decoded_sound(io.BytesIO(content))


def test_eight_channels_are_mixed_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (1_000, 8))
    content = in_format(channels, 8_000, "FLAC")
    whole = decoded_sound(io.BytesIO(content)).samples
    monkeypatch.setattr(sounds, "_BLOCK", 64)
    assert np.array_equal(decoded_sound(io.BytesIO(content)).samples, whole)
    assert np.abs(whole / 32_767 - channels.mean(axis=1)).max() < 1e-4


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "MP3"])
def test_a_recording_that_ends_too_early_says_so(kind: str) -> None:
    content = in_format(a_tone(), 16_000, kind)
    assert not decoded_sound(io.BytesIO(content)).cut
    found = decoded_sound(io.BytesIO(content[: len(content) // 2]))
    assert found.cut
    assert len(found.samples) > 100


def test_whoever_writes_to_a_pipe_does_not_know_the_length() -> None:
    content = bytearray(in_format(a_tone(), 16_000, "WAV"))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    assert not decoded_sound(io.BytesIO(bytes(content))).cut


def test_what_is_cut_short_is_used_and_named(tmp_path: Path) -> None:
    content = in_format(a_tone(), 16_000, "WAV")
    (tmp_path / "half.wav").write_bytes(content[: len(content) // 2])
    problems = Problems()
    found = list(read_media(find_media([tmp_path], modality="audio"), problems))
    assert len(found) == 1
    assert [problem.reason for problem in problems.first()] == ["cut short, used as far as it goes"]
    assert problems.first()[0].path.endswith("half.wav")


@pytest.mark.parametrize("kind", FORMATS)
def test_no_damage_makes_the_decoder_fall(kind: str) -> None:
    survive(kind, MUTATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_no_damage_of_two_hundred_makes_the_decoder_fall(kind: str) -> None:
    survive(kind, ALL_MUTATIONS)


def survive(kind: str, mutations: int) -> None:
    for damaged in damaged_files(kind, mutations):
        try:
            assert decoded_sound(io.BytesIO(damaged)).samples.dtype == np.int16
        except BadDataError as problem:
            assert str(problem)


def damaged_files(kind: str, mutations: int) -> Iterator[bytes]:
    whole = in_format(a_tone(), 16_000, kind)
    for number in range(mutations):
        rng = random.Random(f"{kind} {number}")
        damaged = bytearray(whole[: rng.randrange(1, len(whole) + 1)] if number % 3 == 0 else whole)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        yield bytes(damaged)


def test_the_spectrogram_is_that_of_transformers() -> None:
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=16_000) * 3_000).astype(np.int16)
    mel = Mel(16_000, 90, bands=64)
    filters = mel_filter_bank(257, 64, 20.0, 8_000.0, 16_000, norm=None, mel_scale="htk")
    assert np.allclose(triangles(64, 512, 16_000), filters.T, atol=1e-9)
    window: Any = get_window("hann", mel.length, fftbins=True)
    theirs = spectrogram(
        samples / 32_768.0,
        window,
        frame_length=mel.length,
        hop_length=mel.step,
        fft_length=512,
        power=2.0,
        pad_mode="constant",
        mel_filters=filters,
        log_mel="dB",
        reference=(window.sum() / 2) ** 2,
        min_value=1e-12,
    )[:, :90]
    shades = np.clip(255 * (1 + theirs / 100), 0, 255)
    assert np.abs(mel.picture(samples)[::-1, :, 0] - shades).max() <= 0.51


def test_a_tone_is_a_line_at_its_pitch_and_silence_is_black() -> None:
    mel = Mel(16_000, 50)
    picture = mel.picture((a_tone(1_000.0) * 32_767).astype(np.int16))[:, 5:45, 0]
    least, most = (2595 * np.log10(1 + hertz / 700) for hertz in (20, 8_000))
    edges = 700.0 * (10.0 ** (np.linspace(least, most, 66) / 2595) - 1)
    band = int(np.argmin(np.abs(edges[1:-1] - 1_000.0)))
    assert set(np.argmax(picture, axis=0).tolist()) == {63 - band}
    assert picture.max() == pytest.approx(255 * 0.94, abs=3)  # half of full scale is 6 decibels below it
    assert not mel.picture(np.zeros(10, np.int16)).any()


def test_a_long_recording_is_learnt_from_in_pieces_and_judged_by_its_middle() -> None:
    cut = SoundCut(rate=8_000, frames=16, patch=8)
    loud, silent = a_tone(rate=8_000, seconds=0.16), np.zeros(round(0.16 * 8_000))
    recording = Recording((np.concatenate((silent, loud, silent)) * 32_767).astype(np.int16), 8_000)
    pieces = list(cut.arrays(recording))
    assert len(pieces) == 3
    assert [bool(piece[:, 4:12].any()) for piece in pieces] == [False, True, False]
    assert np.array_equal(cut.array(recording).shape, (64, 16, 1))
    assert cut.array(recording)[:, 2:14].any()


def test_a_quiet_recording_is_made_as_loud_as_it_goes() -> None:
    tone = a_tone(rate=8_000, seconds=0.16)
    loud, quiet = (Recording((tone * level).astype(np.int16), 8_000) for level in (32_767, 1_000))
    cut = SoundCut(rate=8_000, frames=16, patch=8)
    heard = [cut.array(recording).astype(int) for recording in (loud, quiet)]
    strong = heard[0] > 128  # what is 50 decibels below full scale is rounded away in the quiet one
    assert np.abs(heard[0] - heard[1])[strong].max() <= 1
    silence = Recording(np.zeros(1_280, np.int16), 8_000)
    assert not cut.array(silence).any()
    as_recorded = SoundCut(rate=8_000, frames=16, patch=8, full_volume=False)
    assert as_recorded.array(quiet).max() < heard[0].max() - 60
    assert "as loud as recorded" in as_recorded.told()
    for one in (cut, as_recorded):
        patches = one.patches(np.stack([one.array(quiet)]))
        assert cut_like(patches) == one
        assert cut_like(Patches.from_dict(patches.to_dict())) == one
    before = as_recorded.patches(np.stack([as_recorded.array(quiet)])).to_dict()
    del before["mel"]["full_volume"]  # as runs were written that knew nothing of it
    assert cut_like(Patches.from_dict(before)) == as_recorded


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    for name, hertz in (("low", 200.0), ("high", 2_000.0)):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            content = in_format(a_tone(hertz + number, 22_050, 0.4 + number / 100), 22_050, "FLAC")
            (folder / name / f"{number}.flac").write_bytes(content)
    (folder / "low" / "broken.wav").write_bytes(b"RIFFnothing")
    return folder


def test_folders_of_recordings(recordings: Path) -> None:
    from headwater.data.media_tables import find_media

    assert modality_of(recordings) == "audio"
    problems = Problems()
    found = list(read_media(find_media(recordings, modality="audio"), problems))
    assert [each.label for each in found] == ["high"] * 4 + ["low"] * 4
    (problem,) = problems.first()
    assert problem.path.endswith("broken.wav")
    assert problem.reason == "no sound"


def test_a_pool_of_recordings_is_cut_as_most_of_them_are_long(recordings: Path, tmp_path: Path) -> None:
    pool = build_media_pool([recordings], cut=SoundCut(), cache=tmp_path / "cache")
    assert pool.facts["cut"]["rate"] == 16_000
    patches = pool.patches
    assert (patches.rows, patches.columns, patches.side, patches.channels) == (8, 6, 8, 1)
    assert pool.train.shape[1:] == (64, 48, 1)
    assert cut_like(patches) == cut_of(pool.facts["cut"])
    again = build_media_pool([recordings], cut=SoundCut(), cache=tmp_path / "cache")
    assert again.patches == patches


def test_patches_remember_how_they_listen(recordings: Path, tmp_path: Path) -> None:
    pool = build_media_pool([recordings], cut=SoundCut(), cache=tmp_path / "cache")
    pool.patches.save(tmp_path)
    shape = {name: getattr(pool.patches, name) for name in ("rows", "columns", "side", "channels")}
    assert type(pool.patches).load(tmp_path, **shape) == pool.patches
    shades = torch.from_numpy(np.array(pool.train[:1])).permute(0, 3, 1, 2)
    numbers = (shades.float() / 255.0 - pool.patches.mean[0]) / pool.patches.deviation[0]
    assert torch.equal(pool.patches.cut(numbers), pool.patches.sequences(np.array(pool.train[:1]))[0][:, 1:])


def test_every_suffix_is_known() -> None:
    assert {".wav", ".flac", ".ogg", ".mp3"} <= set(SOUNDS)


def test_where_all_has_to_be_heard_what_is_longer_is_left_out_and_told_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["file,text"]
    for number, seconds in enumerate([1.0, 2.0, 12.0, 35.0]):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.normal(size=int(8_000 * seconds)), 8_000)
        rows.append(f"{number}.wav,said {number}")
    (tmp_path / "said.csv").write_text("\n".join(rows) + "\n")
    asked: dict[str, Any] = {"label": "text", "split": "train"}
    middle = read_labelled_media(tmp_path / "said.csv", cut=SoundCut(), **asked)
    assert len(middle.examples) == 4  # of the long ones the middle
    whole = read_labelled_media(tmp_path / "said.csv", cut=SoundCut().for_whole(), **asked)
    assert [row.label for row in whole.examples] == ["said 0", "said 1", "said 2"]
    (problem,) = whole.problems.first()
    assert (problem.path, problem.detail) == (str(tmp_path / "3.wav"), "35.00 seconds")
    assert problem.reason == "longer than the 30.07 seconds that are heard (--set data.seconds)"
    again = cut_of(whole.facts["cut"])
    assert again.for_whole() == again
