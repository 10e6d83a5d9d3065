"""Pre-training throughput against transformers' Trainer: same architecture, weights, tokens, threads, loss positions.

    python -m benchmarks.pretraining --work fixed --threads 2

What each contestant learnt in the race is judged beside it, on the same held-out tokens by the same judge, in
three ways of hiding: ours (whole words, all [MASK]), the peer's (single tokens, 80 % [MASK], 10 % another token,
10 % left as they are) and one that neither has trained on (single tokens, all [MASK]).
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.arena import HIDDEN_SHARE, WORKS, Arena, from_command_line
from benchmarks.harness import (
    Contestant,
    Segment,
    contestants,
    environment,
    race,
    rates,
    ratios,
    table,
    version,
    write_results,
)
from headwater.objectives import Objective
from headwater.training import precision

OURS = "headwater"
PEAK = "matrix product"
DEFAULT = "Trainer, default flags"
BEST = "Trainer, best flags"
COMPILED = "Trainer, best flags + torch.compile"
BF16 = "Trainer, default flags + bf16"
EAGER = "Trainer, best flags + eager attention"
PEERS = {"default": DEFAULT, "best": BEST, "compiled": COMPILED, "bf16": BF16, "eager": EAGER}

_BEST: dict[str, Any] = {
    "train_sampling_strategy": "group_by_length",
    "logging_strategy": "no",
    "save_strategy": "no",
    "bf16": precision.has_bf16("cpu"),  # as we do it
    "use_cpu": True,  # else it refuses bf16
}
_SPARSE = {"sparse_prediction": True}  # ModernBERT's alone
_EAGER = {"attn_implementation": "eager"}
HIDES = ("words, [MASK]", "tokens, 80/10/10", "tokens, [MASK]")
WAYS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    BEST: {"arguments": _BEST, "config": _SPARSE},
    COMPILED: {"arguments": {**_BEST, "torch_compile": True}, "config": _SPARSE, "warm_steps": 6},
    EAGER: {"arguments": _BEST, "config": {**_SPARSE, **_EAGER}},
    BF16: {"arguments": {"bf16": True, "use_cpu": True}},
}


def commands(
    arena: Arena, options: argparse.Namespace, peers: Sequence[str], shipped: Path
) -> dict[str, list[str]]:
    """How to start each contestant."""

    def command(side: str, name: str, way: dict[str, Any]) -> list[str]:
        if WORKS[options.work].causal and "config" in way:
            way = {**way, "config": {k: v for k, v in way["config"].items() if k not in _SPARSE}}
        same = {
            "size": options.size,
            "threads": options.threads,
            "segment_steps": options.steps,
            "steps": options.steps * options.rounds + 10,
        }
        said = json.dumps({**same, **way})
        ship = ["--ship", str(shipped / name)]
        return ["-m", f"benchmarks.{side}", str(arena.folder), options.work, "--way", said, *ship]

    return {
        OURS: command("ours", OURS, {}),
        **{name: command("trainer", name, WAYS[name]) for name in peers},
        PEAK: ["-m", "benchmarks.peak"],
    }


@torch.no_grad()
def judged(arena: Arena, work: str, folder: Path) -> dict[str, float]:
    """The held-out loss in nats a predicted token; of hidden ones in each way of hiding."""
    from headwater.models import load_bundle
    from headwater.objectives import MaskedTokens, NextToken

    model = load_bundle(folder).model.eval()
    if WORKS[work].causal:
        objective: Objective = NextToken(arena.tokenizer)
        asked = {"next token": _asked(arena, objective)}
    else:
        objective = MaskedTokens(arena.tokenizer, share=HIDDEN_SHARE)
        ways = (_asked(arena, objective), _tokens(arena), _tokens(arena, masked=1.0, swapped=0.0))
        asked = dict(zip(HIDES, ways, strict=True))
    losses: dict[str, float] = {}
    for name, tasks in asked.items():
        terms = [objective.loss(model, task)[0] for task in tasks]
        losses[name] = float(sum(term.total for term in terms)) / sum(term.count for term in terms)
    return losses


def _asked(arena: Arena, objective: Objective) -> list[Any]:
    """What the objective itself asks."""
    from headwater.randomness import Draws

    return [objective.prepare(batch, Draws(0, 0, batch.items.numpy())) for batch in _held_out(arena)]


def _tokens(arena: Arena, *, masked: float = 0.8, swapped: float = 0.1) -> list[Any]:
    """The peer's collator hides, with a seed of its own."""
    import transformers

    from headwater.objectives.masked_prediction import MaskedTask

    tokenizer = transformers.AutoTokenizer.from_pretrained(arena.start("fixed", "tiny"))
    collator = transformers.DataCollatorForLanguageModeling(
        tokenizer,
        mlm_probability=HIDDEN_SHARE,
        mask_replace_prob=masked,
        random_replace_prob=swapped,
        seed=0,
    )
    tasks: list[Any] = []
    for batch in _held_out(arena):
        made = collator([{"input_ids": row} for row in batch.inputs.tolist()])
        labels = made["labels"].flatten()
        places = (labels != -100).nonzero().squeeze(-1)
        hidden = type(batch)(made["input_ids"], batch.layout, batch.items)
        tasks.append(MaskedTask(hidden, {"masked_tokens": len(places)}, places, labels[places]))
    return tasks


def _held_out(arena: Arena, batches: int = 16) -> list[Any]:
    from headwater.data.batches import TokenBatches
    from headwater.data.windows import Windows

    windows = Windows(arena.held_out, WORKS["fixed"].longest)
    stream = TokenBatches(windows, arena.tokenizer, tokens_per_batch=4096, seed=0)
    return [stream.batch(number) for number in range(min(batches, stream.batches_per_epoch(0)))]


def report(
    arena: Arena, options: argparse.Namespace, running: Sequence[Contestant], losses: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The tables, and the numbers behind them."""
    segments = {contestant.name: contestant.segments for contestant in running}
    flops = arena.flops_per_token(options.work, options.size)
    rows = [_row(name, segments, flops, losses[name]) for name in segments if name != PEAK]
    header = [
        "",
        "real tokens/s",
        "headwater is faster by",
        "by processor time",
        "MFU",
        *(f"held-out loss: {way}" for way in losses[OURS]),
    ]
    text = [
        f"# Pre-training throughput: {options.work}, {options.size}, {options.threads} thread(s)",
        _described(options),
        f"Median of {options.rounds} interleaved segments of {options.steps} steps (smallest … largest). Matrix peak "
        f"of its own precision in the race: {rates(segments[PEAK]).median / 1e9:.0f} GFLOP/s by the clock, "
        f"{options.threads * rates(segments[PEAK], 'cpu').median / 1e9:.0f} by processor time; a real token needs "
        f"{flops / 1e6:.1f} MFLOP. MFU by processor time over that peak, also of who multiplies in fp32.",
        table(header, rows),
    ]
    first = {contestant.name: contestant.ready.get("first_step_seconds") for contestant in running}
    numbers = {"segments": segments, "losses": losses, "flops_per_token": flops, "first_step_seconds": first}
    return "\n\n".join(text), numbers


def _row(name: str, segments: dict[str, list[Segment]], flops: float, loss: dict[str, float]) -> list[str]:
    mine = segments[name]
    peak = np.median([segment.work / segment.cpu for segment in segments[PEAK]])
    mfu = np.median([segment.work / segment.cpu for segment in mine]) * flops / peak
    faster = ["", ""]
    if name != OURS:
        faster = [ratios(segments[OURS], mine, clock).show(sign="×") for clock in ("wall", "cpu")]
    return [name, rates(mine).show(0), *faster, f"{mfu:.0%}", *(f"{nats:.3f}" for nats in loss.values())]


def _described(options: argparse.Namespace) -> str:
    work = WORKS[options.work]
    documents = (
        f"documents of exactly {work.longest} tokens"
        if work.shortest == work.longest
        else f"documents of {work.shortest} to {work.longest} tokens, all lengths equally often"
    )
    kind = "Next token" if work.causal else "Masked LM"
    shape = "Llama" if work.causal else "ModernBERT"
    asked = "predict every token" if work.causal else "hide 30 % of the tokens"
    bf16 = precision.has_bf16("cpu")
    return (
        f"{kind} on {documents}; {shape}'s architecture, {work.rows} rows a batch for the peer, the same number of "
        f"real tokens a step for us. Both start from the same weights and {asked}. We and the peer at its best "
        f"multiply in {'bf16' if bf16 else 'fp32'}, as the processor {'has' if bf16 else 'lacks'} its instructions."
    )


def main() -> None:
    """Race, judge, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", choices=WORKS, default="fixed")
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps of a segment")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=["default", "best", "eager"])
    parser.add_argument("--suffix", default="", help="of the results file's name")
    options, arena = from_command_line(parser)
    arena.start(options.work, options.size)
    peers = [PEERS[peer] for peer in options.peers]
    with tempfile.TemporaryDirectory() as folder:
        shipped = Path(folder)
        started = commands(arena, options, peers, shipped)
        with contestants(started, threads=options.threads, logs=arena.folder / "logs") as running:
            race(running, options.rounds)
            for contestant in running:
                contestant.finish()
        losses = {name: judged(arena, options.work, shipped / name) for name in started if name != PEAK}
    text, numbers = report(arena, options, running, losses)
    facts = environment(threads=options.threads, transformers=version("transformers"))
    name = f"pretraining-{options.work}-{options.size}-{options.threads}-threads{options.suffix}"
    write_results(name, facts, text, numbers)


if __name__ == "__main__":
    main()
