"""What may stand at a place of the command line: for the help, and for the Tab key.

The names are those of registries that take seconds to import; tests/unit/cli compares the two.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

TASKS = (
    "classification",
    "multi_label_classification",
    "pair_classification",
    "regression",
    "pair_regression",
    "similarity",
    "tagging",
    "question_answering",
    "retrieval",
    "translation",
    "summarization",
    "generation",
    "recommendation",
    "captioning",
    "speech_recognition",
    "zero_shot",
)
PRETEXT_TASKS = (
    "masked_tokens",
    "next_token",
    "span_corruption",
    "denoising",
    "replaced_token",
    "sentence_order",
    "next_sentence",
    "sentence_contrast",
    "self_distillation",
    "masked_autoencoding",
    "masked_patch",
    "masked_patch_classes",
    "image_generation",
    "colorization",
    "super_resolution",
    "jigsaw",
    "geometric_transform",
    "view_contrast",
    "masked_spectrogram",
    "masked_tubelets",
    "frame_order",
    "future_frames",
    "past_frames",
    "pair_contrast",
    "pair_match",
)
SIZES = ("nano", "tiny", "small", "base", "large", "paper_base", "paper_big")
ADAPTATIONS = ("full", "head", "lora", "gradual")
PRECISIONS = ("fp32", "bf16", "auto")
WRITING_PRECISIONS = (*PRECISIONS, "int8")
ENGINES = ("torch", "ctranslate2")
ARMS = ("pretrained", "scratch", "recurrent", "convolutional", "floor", "parent")
BUDGETS = ("8", "32", "128", "all")
DEMOS = ("text", "image", "audio", "video")

SCRATCH = "scratch"
_SETTINGS = "settings.toml"
_DEEPEST = 2
"""How many folders below what was typed runs are looked for."""
_MOST = 1_000
"""Entries of one folder that are looked at: a press of Tab does not wait for a data set."""

Complete = Callable[[str], list[str]]


def in_words(names: Sequence[str]) -> str:
    """``a, b or c``."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def one_of(names: Sequence[str]) -> Complete:
    """One of these names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def several_of(names: Sequence[str]) -> Complete:
    """Some of these names with commas between them, each perhaps with its weight: ``masked_tokens=1,sent``."""

    def complete(incomplete: str) -> list[str]:
        said, comma, begun = incomplete.rpartition(",")
        taken = {part.partition("=")[0] for part in said.split(",")}
        return [f"{said}{comma}{name}" for name in names if name.startswith(begun) and name not in taken]

    return complete


def runs(incomplete: str) -> list[str]:
    """The folders of runs whose path begins so; where there is none, the shell shows its files."""
    begun = incomplete.rpartition("/")[2]
    return list(_runs_in(incomplete[: len(incomplete) - len(begun)], begun, _DEEPEST))


def runs_or_scratch(incomplete: str) -> list[str]:
    """The same, and the word for random weights."""
    return [*one_of([SCRATCH])(incomplete), *runs(incomplete)]


def settings_of_runs(incomplete: str) -> list[str]:
    """The settings file of each of these runs."""
    return [f"{run}/{_SETTINGS}" for run in runs(incomplete)]


def _runs_in(folder: str, begun: str, deeper: int) -> Iterator[str]:
    """Runs in ``folder`` (as it was typed, with its last slash) and further down; one is not looked for in another."""
    try:
        place = Path(folder).expanduser()
        with os.scandir(place) as entries:
            found = [entry.name for entry in islice(entries, _MOST) if entry.is_dir()]
    except (OSError, RuntimeError):  # RuntimeError: the home of nobody
        return
    for name in sorted(found):
        if not name.startswith(begun) or (name.startswith(".") and not begun):
            continue
        if (place / name / _SETTINGS).is_file():
            yield f"{folder}{name}"
        elif deeper:
            yield from _runs_in(f"{folder}{name}/", "", deeper - 1)
