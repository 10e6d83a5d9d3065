"""What each setting of the loop and of the model is worth: one changed at a time, the held-out loss beside the usual.

    python -m benchmarks.choices --steps 300 --out choices/          # --only finetuning: one of both tables

First pre-training on `lm/english_mixed` (masked tokens), then fine-tuning on AG News from its usual run.
What was finished in ``--out`` is taken from there: killed at any instant, the same command goes on.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import headwater as hw
from benchmarks.harness import environment, gone_on, table, write_results
from headwater.training.events import read_events

USUAL = "as usual"
CORPUS = "lm/english_mixed/train.txt"
HELD_OUT = "lm/english_mixed/valid.txt"
LABELLED = "classification_en/ag_news_7600"

PRETRAINING: dict[str, Sequence[str]] = {
    USUAL: (),
    "as usual, seed 1": ("training.seed=1",),
    "as usual, seed 2": ("training.seed=2",),
    "Adam with L2": ("training.optimizer=adam_l2",),
    "SGD, rate 0.1": ("training.optimizer=sgd", "training.learning_rate=0.1"),
    "SGD, rate 1": ("training.optimizer=sgd", "training.learning_rate=1.0"),
    "Adafactor, rate 0.01": ("training.optimizer=adafactor", "training.learning_rate=0.01"),
    "Adafactor, rate 0.03": ("training.optimizer=adafactor", "training.learning_rate=0.03"),
    "Muon": ("training.optimizer=muon",),
    "Muon, rate 0.01": ("training.optimizer=muon", "training.learning_rate=0.01"),
    "constant": ("training.schedule=constant",),
    "cosine": ("training.schedule=cosine",),
    "exponential": ("training.schedule=exponential",),
    "inverse square root": ("training.schedule=inverse_square_root",),
    "warm-up, stable, decay": ("training.schedule=warmup_stable_decay",),
    "constant, mean of the last": ("training.schedule=constant", "training.average=last"),
    "no warm-up": ("training.warmup_steps=0",),
    "no clipping": ("training.clip=1000000.0",),
    "no decay of weights": ("training.weight_decay=0.0",),
    "decay 0.1": ("training.weight_decay=0.1",),
    "dropout 0.1": ("model.dropout=0.1",),
    "stochastic depth 0.1": ("model.stochastic_depth=0.1",),
    "token vectors drawn": ("model.token_vectors=random",),
    "norm behind the update": ("model.norm_position=after",),
    "RMS norm": ("model.norm=rms",),
    "SwiGLU": ("model.feed_forward=swiglu",),
    "GELU, four times as wide": ("model.feed_forward=gelu", "model.feed_forward_width=512"),
    "ALiBi": ("model.positions=alibi",),
    "relative buckets": ("model.positions=relative",),
    "learned positions": ("model.positions=learned",),
    "no positions": ("model.positions=none",),
    "no windows": ("model.window=0",),
    "packed": ("training.packed=true",),
}
FINETUNING: dict[str, Sequence[str]] = {
    USUAL: (),
    "as usual, seed 1": ("training.seed=1",),
    "as usual, seed 2": ("training.seed=2",),
    "head alone": ("training.adapt=head",),
    "low-rank corrections": ("training.adapt=lora",),
    "block by block": ("training.adapt=gradual",),
    "each block at 0.7 of the one above": ("training.layer_decay=0.7",),
    "labels smoothed by 0.1": ("objective.label_smoothing=0.1",),
    "no dropout": ("model.dropout=0.0",),
    "stochastic depth 0.1": ("model.stochastic_depth=0.1",),
    "moving average": ("training.average=exponential",),
    "Muon": ("training.optimizer=muon",),
    "SGD, rate 0.1": ("training.optimizer=sgd", "training.learning_rate=0.1"),
    "cosine": ("training.schedule=cosine",),
}


def pretrained(data: Path, folder: Path, name: str, assign: Sequence[str], steps: int) -> dict[str, Any]:
    """One run of masked tokens: its held-out loss half-way and at the end."""
    given = ["machine.threads=1", f"training.evaluation_steps={steps // 2}", *assign]
    out = folder / name
    make = partial(
        hw.pretrain,
        data / CORPUS,
        hold_out=[data / HELD_OUT],
        size="nano",
        steps=steps,
        assign=given,
        out=out,
        quiet=True,
    )
    run = gone_on(out, make)
    losses = [event["loss"] for event in read_events(run.path) if event["kind"] == "evaluation"]
    return {"half-way": losses[-2], "loss": losses[-1], "tokens": run.summary.tokens}


def finetuned(data: Path, folder: Path, name: str, assign: Sequence[str], parent: Path) -> dict[str, Any]:
    """One run of classification: accuracy on the test rows."""
    given = ["machine.threads=1", *assign]
    rows = data / LABELLED
    out = folder / f"tuned {name}"
    run = gone_on(out, partial(hw.finetune, parent, rows / "train.tsv", assign=given, out=out, quiet=True))
    accuracy = run.evaluate(rows / "test.tsv").to_dict()["accuracy"]
    return {"accuracy": accuracy, "steps": run.summary.step}


def of_pretraining(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of held-out losses."""
    usual = found[USUAL]["loss"]
    rows = [
        [
            name,
            f"{row['half-way']:.3f}",
            f"{row['loss']:.3f}",
            "" if name == USUAL else f"{row['loss'] - usual:+.3f}",
        ]
        for name, row in found.items()
    ]
    return table(["what is changed", "half-way", "at the end", "against the usual"], rows)


def of_finetuning(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of accuracies."""
    rows = []
    for name, row in found.items():
        value, low, high = (100 * row["accuracy"][key] for key in ("value", "low", "high"))
        rows.append([name, f"{value:.1f} ({low:.1f} … {high:.1f})"])
    return table(["what is changed", "accuracy, points"], rows)


def main() -> None:
    """Train all of them, one after the other, and write both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--steps", type=int, default=300, help="of each pre-training run")
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADWATER_DATA"), help="the data sets")
    parser.add_argument("--only", choices=["pretraining", "finetuning"], help="one of both tables")
    parser.add_argument("--name", default="choices", help="of the results file")
    given = parser.parse_args()
    if given.data is None:
        parser.error("name the folder of the data sets with --data or HEADWATER_DATA")
    data, folder = Path(given.data), given.out / f"{given.steps} steps"
    asked = PRETRAINING if given.only != "finetuning" else {USUAL: PRETRAINING[USUAL]}
    runs: dict[str, dict[str, Any]] = {}
    for name, assign in asked.items():
        runs[name] = pretrained(data, folder, name, assign, given.steps)
        print(f"{name}: {runs[name]['loss']:.3f} nats", flush=True)
    tuned: dict[str, dict[str, Any]] = {}
    for name, assign in FINETUNING.items() if given.only != "pretraining" else ():
        tuned[name] = finetuned(data, folder, name, assign, folder / USUAL)
        print(f"{name}: {100 * tuned[name]['accuracy']['value']:.1f} points", flush=True)
    text = (
        "# What each choice is worth\n\n"
        f"`nano`, masked tokens on {CORPUS}, {given.steps} steps ({runs[USUAL]['tokens']:,} tokens), nats a hidden "
        f"token on held-out text; the seeds tell how much is chance.\n\n{of_pretraining(runs)}\n"
    )
    if tuned:
        text += (
            f"\nClassification of {LABELLED} from the usual run, {tuned[USUAL]['steps']} steps, 95 % intervals over "
            f"test rows.\n\n{of_finetuning(tuned)}\n"
        )
    write_results(given.name, environment(threads=1), text, {"pretraining": runs, "finetuning": tuned})


if __name__ == "__main__":
    main()
