"""Variations of spectrograms: another voice, another tempo, another microphone, noise; silence stays silence."""

import numpy as np
import pytest

from headwater.data import sound_views
from headwater.data.picture_batches import Views
from headwater.data.sound_views import varied
from headwater.randomness import Draws


def tones(count: int) -> np.ndarray:
    """A ridge in the middle of 64 bands over 48 of 64 frames, silence behind."""
    shades = np.zeros((count, 64, 64, 1), np.uint8)
    shades[:, :, :48], shades[:, 30:34, :48] = 100, 220
    return shades


def only(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    for other in ("PITCH", "TEMPO", "COLOUR", "NOISE", "TILT", "GRAIN"):
        monkeypatch.setattr(sound_views, other, value if other == name else 0.0)
    if name != "NOISE":
        monkeypatch.setattr(sound_views, "NOISE", 0.0)


def test_a_variation_is_a_function_of_its_recording_and_epoch_alone() -> None:
    sounds = tones(6)
    together = varied(sounds, Draws(0, 1, list(range(6))))
    assert np.array_equal(together[4:5], varied(sounds[4:5], Draws(0, 1, [4])))
    assert not np.array_equal(together, varied(sounds, Draws(0, 2, list(range(6)))))


def test_without_strength_nothing_changes() -> None:
    sounds = tones(3)
    assert np.array_equal(varied(sounds, Draws(0, 0, [0, 1, 2]), 0.0)[:, :, :48], sounds[:, :, :48])
    assert Views(varied=0.0).of(sounds, Draws(0, 0, [0, 1, 2])) is sounds


def test_a_voice_is_higher_or_lower_by_a_share_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "PITCH", 0.15)
    found = varied(tones(200), Draws(0, 0, range(200)))[:, :, 0, 0].astype(float)
    heights = 63 - np.array([np.average(np.arange(64), weights=line > 150) for line in found])
    assert 31.5 / 1.15 - 1 <= heights.min() < 29
    assert 35 < heights.max() <= 31.5 / 0.85 + 1


def test_a_word_is_faster_or_slower_by_a_share_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "TEMPO", 0.25)
    found = varied(tones(200), Draws(0, 0, range(200)))[:, 0, :, 0]
    lengths = (found > 0).sum(axis=1)
    assert 48 / 1.25 - 1 <= lengths.min() < 41
    assert 58 < lengths.max() <= 48 / 0.75 + 1


def test_a_microphone_colours_all_frames_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "COLOUR", 30.0)
    found = varied(tones(50), Draws(0, 0, range(50)))[..., 0].astype(float)
    change = found[:, :, :48] - tones(50)[:, :, :48, 0]
    assert (change == change[:, :, :1]).all()
    assert 10 < np.abs(change).max() <= 5 * 30 / 1.5 + 1


def test_noise_covers_what_is_quieter_and_leaves_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "NOISE", 170.0)
    found = varied(tones(100), Draws(0, 0, range(100)))[..., 0]
    assert (found[:, :, 48:] == 0).all()
    assert (found[:, 31, :48] == 220).all()
    floors = found[:, 0, 0]
    assert floors.min() == 100
    assert 150 < floors.max() <= 170
