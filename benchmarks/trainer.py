"""The peer's side of the race: transformers' ``Trainer`` on ModernBERT or Llama, pausing between segments.

Run by the races as ``python -m benchmarks.trainer ARENA WORK --way JSON``. Model, first weights, tokens, batch
rows, hidden share, learning rate and number of steps are ours; everything else is the Trainer's default unless
the way says otherwise.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from benchmarks.arena import HIDDEN_SHARE, SEED, WORKS, Arena
from benchmarks.harness import Stage
from benchmarks.ours import LEARNING_RATE, WARMUP_STEPS
from headwater.training import precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """Which of the peer's own switches are set: of TrainingArguments, and of the model's config."""

    size: str = "tiny"
    steps: int = 200
    segment_steps: int = 5
    warm_steps: int = 3
    threads: int = 1
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    allocator: bool = False
    flush_denormal: bool = False


class CountingCollator(transformers.DataCollatorForLanguageModeling):
    """The peer's collator, which also counts the real tokens that it hands out."""

    real_tokens = 0

    def __call__(self, features: Any, return_tensors: Any = None) -> Any:
        """The batch, unchanged."""
        batch = super().__call__(features, return_tensors)
        self.real_tokens += int(batch["attention_mask"].sum())
        return batch


class TakesTurns(transformers.TrainerCallback):
    """Stops the Trainer between segments until it is its turn again."""

    def __init__(self, stage: Stage, collator: CountingCollator, way: Way) -> None:
        self.stage, self.collator, self.way = stage, collator, way
        self.began = (0.0, 0.0, 0)
        self.entered = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Report where a segment ends, then wait."""
        del args
        done = state.global_step - self.way.warm_steps
        if state.global_step == 1:
            self.entered = time.perf_counter() - self.entered
        if done < 0 or done % self.way.segment_steps:
            return control
        if done == 0:
            self.stage.say(first_step_seconds=self.entered)
        else:
            wall, cpu, tokens = self.began
            self.stage.say(
                work=self.collator.real_tokens - tokens,
                wall=time.perf_counter() - wall,
                cpu=time.process_time() - cpu,
            )
        if not self.stage.next_turn():
            control.should_training_stop = True
        self.began = (time.perf_counter(), time.process_time(), self.collator.real_tokens)
        return control


def dataset_of(arena: Arena, work: str) -> datasets.Dataset:
    """The same documents framed by the same special tokens, with the masks that spare the collator work."""
    store, tokenizer = arena.store(work), arena.tokenizer
    rows = [[tokenizer.cls, *store[number].tolist(), tokenizer.sep] for number in range(len(store))]
    special = [[1, *[0] * (len(row) - 2), 1] for row in rows]
    ones = [[1] * len(row) for row in rows]
    return datasets.Dataset.from_dict(
        {
            "input_ids": rows,
            "attention_mask": ones,
            "special_tokens_mask": special,
            "length": list(map(len, rows)),
        }
    )


def main() -> None:
    """Train as its users do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arena", type=Path)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--way", type=json.loads, default={})
    parser.add_argument("--ship", type=Path)
    arguments = parser.parse_args()
    arena, way = Arena(arguments.arena), replace(Way(), **arguments.way)

    stage = Stage()
    if way.allocator:
        precision.tune_allocator()
    if way.flush_denormal:
        torch.set_flush_denormal(True)
    torch.set_num_threads(way.threads)
    causal = WORKS[arguments.work].causal
    start = arena.start(arguments.work, way.size)
    tokenizer = transformers.AutoTokenizer.from_pretrained(start)
    kind = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForMaskedLM
    model = kind.from_pretrained(start, **way.config)
    hidden = {"mlm": False} if causal else {"mlm_probability": HIDDEN_SHARE}
    collator = CountingCollator(tokenizer, **hidden)
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=WORKS[arguments.work].rows,
            max_steps=way.steps,
            learning_rate=LEARNING_RATE,
            warmup_steps=WARMUP_STEPS,
            weight_decay=0.01,
            seed=SEED,
            **way.arguments,
        ),
        train_dataset=dataset_of(arena, arguments.work),
        data_collator=collator,
        callbacks=[TakesTurns(stage, collator, way)],
    )
    trainer.train()
    if arguments.ship is not None:
        model.save_pretrained(arguments.ship)
    stage.say(peak_bytes=precision.peak_memory())


if __name__ == "__main__":
    main()
