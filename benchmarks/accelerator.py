"""Training throughput on a GPU: masked tokens in bf16 at sizes that fill it, and the share of its peak that is used.

    python -m benchmarks.accelerator --size large --length 1024 --rows 64

One process, because a GPU has one queue: the contestants take turns of a few steps. The peer is transformers'
ModernBERT with the same first weights, the same hidden tokens, fused AdamW, and logits at the hidden places alone.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.arena import FRAME, HIDDEN_SHARE, SEED, Arena, from_command_line
from benchmarks.harness import Segment, environment, rates, ratios, table, version, write_results
from headwater.data.batches import TokenBatches
from headwater.data.store import write_store
from headwater.data.windows import Windows
from headwater.models import encoder_settings, load_bundle
from headwater.models.cost import cost_of
from headwater.objectives import MaskedTokens
from headwater.objectives.masked_prediction import MaskedTask
from headwater.randomness import Draws
from headwater.run.learning import build_learner, compile_blocks
from headwater.run.settings import MachineSettings, TrainingSettings
from headwater.training.loop import train
from headwater.training.plan import Plan
from headwater.training.precision import use_deterministic_algorithms
from headwater.training.schedules import build_schedule

OURS, COMPILED, PEER = "headwater", "headwater, compiled", "transformers, sdpa"
CUDA = torch.device("cuda")
STEPS = 10_000
PEAK_SIDE = 8192
TRAINING = TrainingSettings(learning_rate=3e-4, weight_decay=0.01)


def batches_of(arena: Arena, length: int, rows: int) -> TokenBatches:
    """Documents that fill every row."""
    running = np.asarray(arena.store("fixed").tokens)
    documents = np.split(running, range(length - FRAME, len(running), length - FRAME))[:-1]
    path = arena.folder / f"rows-of-{length}.arrow"
    store = write_store(path, documents, range(len(documents)))
    return TokenBatches(Windows(store, length), arena.tokenizer, tokens_per_batch=rows * length, seed=SEED)


def ours(arena: Arena, size: str, batches: TokenBatches, *, compiled: bool) -> Iterator[int]:
    """The loop itself; real tokens of each step."""
    model = load_bundle(arena.start("fixed", size)).model.to(CUDA)
    compile_blocks(model, MachineSettings(compile=compiled))
    learner = build_learner(model, MaskedTokens(arena.tokenizer, share=HIDDEN_SHARE), TRAINING)
    schedule = build_schedule("linear", steps=STEPS, warmup_steps=10)
    plan = Plan(steps=STEPS, seed=SEED, schedule=schedule, precision="bf16", device=CUDA)
    for record in train(learner, batches.batch, plan):
        yield record.tokens


def peer(arena: Arena, size: str, batches: TokenBatches) -> Iterator[int]:
    """A plain loop around transformers' model."""
    model: Any = transformers.AutoModelForMaskedLM.from_pretrained(
        arena.start("fixed", size), attn_implementation="sdpa", sparse_prediction=True
    )
    model = model.to(CUDA).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.01, fused=True)
    objective = MaskedTokens(arena.tokenizer, share=HIDDEN_SHARE)
    for number in range(STEPS):
        batch = batches.batch(number)
        task = objective.prepare(batch, Draws(SEED, 0, batch.items.numpy()))
        assert isinstance(task, MaskedTask)
        labels = torch.full((batch.inputs.numel(),), -100).index_copy(0, task.places, task.targets)
        inputs, labels = task.batch.inputs.to(CUDA), labels.view_as(batch.inputs).to(CUDA)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(input_ids=inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield batch.inputs.numel()


def peak() -> float:
    """Floating-point operations per second of the median of a few large bf16 products on random numbers."""
    left, right = (torch.randn(PEAK_SIDE, PEAK_SIDE, device=CUDA, dtype=torch.bfloat16) for _ in range(2))
    seconds: list[float] = []
    for _ in range(12):
        torch.cuda.synchronize()
        began = time.perf_counter()
        torch.mm(left, right)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2.0 * PEAK_SIDE**3 / median(seconds[2:])


def turn(steps: Iterator[int], count: int, *, deterministic: bool) -> Segment:
    """So many steps under the clock; only our loop promises the same bits again."""
    torch.use_deterministic_algorithms(deterministic)
    torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = sum(next(steps) for _ in range(count))
    torch.cuda.synchronize()
    return Segment(tokens, time.perf_counter() - wall, time.process_time() - cpu)


def race(makers: Mapping[str, Callable[[], Iterator[int]]], rounds: int, steps: int) -> Any:
    """The turns of every contestant, the seconds of its first step, and the memory that it took at most."""
    running, first = {}, {}
    for name, make in makers.items():
        running[name] = make()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        first[name] = turn(running[name], 1, deterministic=name != PEER).wall
        turn(running[name], 3, deterministic=name != PEER)
        first[name] = (first[name], torch.cuda.max_memory_allocated() - before)
        print(f"  ready: {name} ({first[name][0]:.1f} s)", flush=True)
    segments: dict[str, list[Segment]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, records in running.items():
            segments[name].append(turn(records, steps, deterministic=name != PEER))
            print(f"  {name}: {rates(segments[name][-1:]).median:,.0f} tokens/s", flush=True)
    return segments, first


def main() -> None:
    """Race, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="large")
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--compiled", action="store_true", help="our blocks compiled, too")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    options, arena = from_command_line(parser)
    use_deterministic_algorithms("cuda")
    size, batches = options.size, batches_of(arena, options.length, options.rows)
    makers = {
        OURS: lambda: ours(arena, size, batches, compiled=False),
        PEER: lambda: peer(arena, size, batches),
    }
    if options.compiled:
        makers[COMPILED] = lambda: ours(arena, size, batches, compiled=True)
    best, (segments, first) = peak(), race(makers, options.rounds, options.steps)
    settings = encoder_settings(size, arena.tokenizer.size)
    flops = cost_of(settings, length=options.length, loss_share=HIDDEN_SHARE).training_flops_per_token
    rows = [
        [
            name,
            rates(turns).show(0),
            ratios(turns, segments[PEER]).show(2, "×"),
            f"{rates(turns).median * flops / best:.1%}",
            f"{first[name][0]:.1f} s",
            f"{first[name][1] / 2**30:.1f} GiB",
        ]
        for name, turns in segments.items()
    ]
    header = ["", "tokens/s", "against the peer", "MFU", "first step", "memory above its weights"]
    text = (
        f"# Training on a GPU ({size}, rows of {options.length} × {options.rows}, bf16)\n\n"
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {version('transformers')}; "
        f"bf16 product of {PEAK_SIDE}³: {best / 1e12:.0f} TFLOP/s; {flops / 1e9:.2f} GFLOP a token.\n\n"
        + table(header, rows)
    )
    write_results(f"accelerator-{size}", environment(threads=1), text, {"flops": flops, "peak": best})


if __name__ == "__main__":
    main()
