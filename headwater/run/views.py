"""How pictures, recordings and clips are shown in training, as a run's settings say."""

from dataclasses import replace

from headwater.data.picture_batches import Views
from headwater.data.sequencers import Patches
from headwater.run.settings import TrainingSettings

MOVED = 0.125
"""How far pictures are shown moved unless a user says otherwise, as a share of their side."""


def views_of(training: TrainingSettings, patches: Patches) -> Views:
    """How pictures are shown in training: moved, and mirrored unless they are grey, as digits and letters are.

    A spectrogram moves in time alone, and is varied where the user asks for it. Clips are not mirrored: which way
    something goes may be what they are about.
    """
    usual = patches.colour and patches.film is None
    return Views(
        shift=MOVED if training.moved is None else training.moved,
        mirrored=usual if training.mirrored is None else training.mirrored,
        upright=patches.mel is not None,
        slices=patches.slices,
        varied=0.0 if patches.mel is None else training.varied or 0.0,
    )


def views_of_side(training: TrainingSettings, patches: Patches) -> Views:
    """One side of a pair is not mirrored unless that is asked for: the other may say what is left and what is right."""
    return views_of(replace(training, mirrored=bool(training.mirrored)), patches)
