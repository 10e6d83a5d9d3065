"""Which pretext task buys what: all of them pre-trained alike on one pile of data, then gain at few labels.

    python -m benchmarks.pretext_tasks chinese --out pretext/chinese    # english, pictures, recordings, clips, moving

What was finished in ``--out`` is taken from there: killed at any instant, the same command goes on. ``--before`` is
a results file of an earlier day, whose pretext tasks stand in the table too where they were not run again. The clips of
``moving`` are made by recipes/moving_digits and named with ``--data``.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import headwater as hw
from benchmarks.harness import environment, gone_on, table, write_results
from headwater.training.events import read_events


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Labelled rows that the pre-trained models are asked about."""

    name: str
    train: str
    test: str
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pile:
    """Unlabelled data, every pretext task that they have, and how long each is trained."""

    paths: Sequence[str]
    hold_out: Sequence[str]
    objectives: Sequence[str]
    labelled: Sequence[Rows]
    budgets: Sequence[int]
    steps: int
    assign: Sequence[str] = ()
    assign_gain: Sequence[str] = ()


WORDS = (
    "masked_tokens", "next_token", "span_corruption", "denoising", "replaced_token", "sentence_order",
    "next_sentence", "sentence_contrast", "self_distillation",
)  # fmt: skip
CLIPS = (
    "masked_tubelets", "frame_order", "future_frames", "past_frames", "view_contrast", "self_distillation",
)  # fmt: skip
NEWS, FILMS, REVIEWS = (
    "classification_en/ag_news_7600", "classification_en/movie_review_sentences", "classification_zh/chnsenticorp"
)  # fmt: skip
PILES: dict[str, Pile] = {
    "english": Pile(
        paths=("lm/english_mixed", f"{NEWS}/train.tsv", f"{FILMS}/train.tsv"),
        hold_out=(f"{NEWS}/test.tsv", f"{FILMS}/test.tsv"),
        objectives=WORDS,
        labelled=(
            Rows(name="AG News", train=f"{NEWS}/train.tsv", test=f"{NEWS}/test.tsv"),
            Rows(name="film reviews", train=f"{FILMS}/train.tsv", test=f"{FILMS}/test.tsv"),
        ),
        budgets=(32,),
        steps=4000,
    ),
    "chinese": Pile(
        paths=("lm/chinese_modern_mixed", f"{REVIEWS}/train.tsv"),
        hold_out=(f"{REVIEWS}/test.tsv",),
        objectives=WORDS,
        labelled=(Rows(name="ChnSentiCorp", train=f"{REVIEWS}/train.tsv", test=f"{REVIEWS}/test.tsv"),),
        budgets=(32,),
        steps=4000,
    ),
    "pictures": Pile(
        paths=("images/cifar10_jpeg/train.zip",),
        hold_out=("images/cifar10_jpeg/test.zip",),
        objectives=(
            "masked_autoencoding", "masked_patch", "masked_patch_classes", "colorization", "super_resolution",
            "image_generation", "jigsaw", "geometric_transform", "view_contrast", "self_distillation",
        ),
        labelled=(
            Rows(name="CIFAR-10", train="images/cifar10_jpeg/train.zip", test="images/cifar10_jpeg/test.zip"),
        ),
        budgets=(10, 100),
        steps=1500,
    ),
    "recordings": Pile(
        paths=("audio/fsdd/labels.tsv",),
        hold_out=(),
        objectives=("masked_spectrogram", "view_contrast", "self_distillation"),
        labelled=(
            Rows(name="spoken digits", train="audio/fsdd/labels.tsv", test="audio/fsdd/labels.tsv", label="digit"),
        ),
        budgets=(10, 100),
        steps=1000,
    ),
    "clips": Pile(
        paths=("video/lpc_sprites/train.npz",),
        hold_out=("video/lpc_sprites/test.npz",),
        objectives=CLIPS,
        labelled=(
            Rows(name="direction", train="video/lpc_sprites/train.npz", test="video/lpc_sprites/test.npz",
                 label="direction"),
        ),
        budgets=(10, 100),
        steps=600,
        assign=("model.patch=8",),
        assign_gain=("training.steps=600",),
    ),
    "moving": Pile(
        paths=("clips-train.npz",),
        hold_out=("clips-test.npz",),
        objectives=CLIPS,
        labelled=(
            Rows(name="moving digits", train="clips-train.npz", test="clips-test.npz", label="digit"),
        ),
        budgets=(10, 100),
        steps=1000,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """One pile in one folder."""

    pile: Pile
    data: Path
    out: Path
    size: str

    def pretrained(self, objective: str) -> hw.Run:
        """The run of a pretext task."""
        make = partial(
            hw.pretrain,
            [self.data / path for path in self.pile.paths],
            hold_out=[self.data / path for path in self.pile.hold_out],
            objective=objective,
            size=self.size,
            steps=self.pile.steps,
            assign=["machine.threads=1", *self.pile.assign],
            out=self.out / objective,
            quiet=True,
        )
        return gone_on(self.out / objective, make)

    def gained(self, run: hw.Run, rows: Rows) -> dict[str, Any]:
        """What ``gain`` says of the run on some rows."""
        out = run.path / "gain" / rows.name
        if not (out / "gain.json").is_file():
            hw.gain(
                run,
                self.data / rows.train,
                test=self.data / rows.test,
                label=rows.label,
                budgets=",".join(map(str, self.pile.budgets)),
                arms="pretrained,scratch",
                assign=["machine.threads=1", *self.pile.assign_gain],
                out=out,
                quiet=True,
            )
        found: dict[str, Any] = json.loads((out / "gain.json").read_text(encoding="utf-8"))
        del found["report"]  # where it lies on this machine
        return found

    def row(self, objective: str) -> dict[str, Any]:
        """Everything that is known of one pretext task."""
        run = self.pretrained(objective)
        evaluations = [event for event in read_events(run.path) if event["kind"] == "evaluation"]
        return {
            "itself": itself(objective, evaluations[0], evaluations[-1]),
            "seconds": run.summary.seconds,
            "gain": {rows.name: self.gained(run, rows) for rows in self.pile.labelled},
        }


def itself(objective: str, first: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    """The accuracy of a pretext task that has one, else its loss, at two evaluations; beside it what knows nothing."""
    accuracy = f"{objective}_accuracy"
    name = accuracy if accuracy in last else objective
    others = {
        key: value for key, value in last.items() if key.startswith(f"{objective}_") and key != accuracy
    }
    beside = "".join(
        f" ({key.removeprefix(objective + '_').replace('_', ' ')}: {value:.3f})"
        for key, value in others.items()
    )
    return f"{'accuracy ' * (name == accuracy)}{first[name]:.3f} → {last[name]:.3f}{beside}"


def cells(gain: Mapping[str, Any], budget: int) -> str:
    """``pretrained, difference (low … high)``, bold where the paired test says that it helped."""
    mean = next(
        row["mean"] for row in gain["summary"] if row["arm"] == "pretrained" and row["budget"] == budget
    )
    verdict = next(row for row in gain["verdicts"] if row["budget"] == budget)
    difference, low, high = (100 * verdict[key] for key in ("difference", "low", "high"))
    shown = f"{difference:+.1f}".replace("-", "−")
    mark = "**" if verdict["verdict"] == "helped" else ""
    return f"{100 * mean:.1f}, {mark}{shown}{mark} ({low:.1f} … {high:.1f})".replace("(-", "(−").replace(
        "… -", "… −"
    )


def frozen(gain: Mapping[str, Any], budget: int) -> str:
    """A linear probe on the frozen vectors."""
    return next(
        f"{100 * row['mean']:.1f}"
        for row in gain["probes"]
        if row["probe"] == "linear" and row["budget"] == budget
    )


def written(pile: Pile, found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table: its own metric at the first and the last evaluation, then gain, then frozen vectors."""
    columns = [(rows.name, budget) for rows in pile.labelled for budget in pile.budgets]
    header = ["pretext task", "itself, first → last"]
    header += [f"{name}, {budget} labels a class" for name, budget in columns]
    header += [f"{rows.name}, frozen, linear, {pile.budgets[-1]}" for rows in pile.labelled]
    lines: list[list[str]] = []
    for objective, row in found.items():
        line = [f"`{objective}`", row["itself"]]
        line += [cells(row["gain"][name], budget) for name, budget in columns]
        line += [frozen(row["gain"][rows.name], pile.budgets[-1]) for rows in pile.labelled]
        lines.append(line)
    return table(header, lines)


def series(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each pretext task that was asked for, and what was found."""
    pile = PILES[arguments.pile]
    out = arguments.out / arguments.pile / arguments.size
    made = Series(pile, Path(arguments.data), out, arguments.size)
    for objective in arguments.objectives.split(",") if arguments.objectives else pile.objectives:
        yield objective, made.row(objective)


def main() -> None:
    """Pre-train, measure, and write the table anew after each task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pile", choices=PILES)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--size", default="nano")
    parser.add_argument("--objectives", help="only these, with commas between them")
    parser.add_argument("--before", type=Path, help="a results file (.json) of the same pile")
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADWATER_DATA"), help="the data sets")
    given = parser.parse_args()
    if given.data is None:
        parser.error("name the folder of the data sets with --data or HEADWATER_DATA")
    pile = PILES[given.pile]
    found: dict[str, dict[str, Any]] = (
        json.loads(given.before.read_text(encoding="utf-8"))["numbers"] if given.before else {}
    )
    for objective, row in series(given):
        found[objective] = row
        text = (
            f"# Which pretext task buys what: {given.pile}\n\n`{given.size}`, {pile.steps:,} steps each. Accuracy in "
            "points, three seeds; the difference to random weights with its 95 % interval, bold where the paired test "
            f"says that it helped.\n\n{written(pile, found)}\n"
        )
        write_results(f"pretext-{given.pile}", environment(threads=1), text, found)


if __name__ == "__main__":
    main()
