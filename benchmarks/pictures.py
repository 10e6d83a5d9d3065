"""Training on pictures: a ViT classifier and a masked autoencoder, ours against transformers with the same shapes.

    python -m benchmarks.pictures --size small --threads 1

Random pictures of 32 × 32 pixels in patches of 4 (65 positions with [CLS]), a fused AdamW step each; what is counted
are pictures a second of forward, backward and step. We train in the processor's own precision; the peer in fp32 as it
comes and, where the processor has bf16, at its best: in bf16, attending eagerly too if that is faster. The peer's
masked autoencoder has our decoder's width and depth.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers

from benchmarks.harness import Segment, environment, rates, ratios, table, version, write_results
from headwater.data.sequencers.patches import Patches
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.objectives import Classification, MaskedAutoencoding, Objective
from headwater.objectives.masked_autoencoding import DECODER_DEPTH, NARROWEST_DECODER
from headwater.randomness import Draws
from headwater.sequence import Batch
from headwater.training import precision

PATCHES = Patches(rows=8, columns=8, side=4, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
SHAPE = PatchSettings(rows=8, columns=8, side=4, channels=3)
CLASSES = 10
SHARE = 0.75
Step = Callable[[], None]


def stepped(parameters: Any, loss: Callable[[], torch.Tensor], kind: str) -> Step:
    """One training step in that precision."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision.autocast(kind, "cpu"):
            found = loss()
        found.backward()
        optimizer.step()

    return step


def ours(size: str, kind: str, batch: Batch) -> Step:
    """Our model and objective."""
    settings = picture_settings(size, SHAPE)
    head = "classification" if kind == "classifier" else None
    model = build_model(settings, head=head, seed=0, **({"classes": CLASSES} if head else {}))
    names = tuple(map(str, range(CLASSES)))
    share = {"painter": SHARE, "painter that sees all but one patch": 1 / SHAPE.count}
    objective: Objective = (
        Classification(names) if head else MaskedAutoencoding(settings, share=share[kind], seed=0)
    )
    parts = torch.nn.ModuleList([model, objective])

    def loss() -> torch.Tensor:
        task = objective.prepare(batch, Draws(0, 0, batch.items.numpy()))
        (term,) = objective.loss(model, task)
        return term.total / term.count

    return stepped(parts.parameters(), loss, precision.decide_precision("auto"))


def theirs(
    size: str,
    kind: str,
    numbers: torch.Tensor,
    labels: torch.Tensor,
    *,
    numeric: str = "fp32",
    attention: str = "sdpa",
) -> Step:
    """transformers' model of the same shape."""
    settings = picture_settings(size, SHAPE)
    shape = {
        "hidden_size": settings.width,
        "num_hidden_layers": settings.depth,
        "num_attention_heads": settings.num_heads,
        "intermediate_size": settings.feed_forward_width,
        "image_size": PATCHES.height,
        "patch_size": PATCHES.side,
        "attn_implementation": attention,
    }
    if kind == "classifier":
        config = transformers.ViTConfig(**shape, num_labels=CLASSES)
        model: Any = transformers.ViTForImageClassification(config)
        return stepped(model.parameters(), lambda: F.cross_entropy(model(numbers).logits, labels), numeric)
    width = max(NARROWEST_DECODER, settings.width // 64 * 32)
    painter: Any = transformers.ViTMAEForPreTraining(
        transformers.ViTMAEConfig(
            **shape,
            mask_ratio=SHARE,
            norm_pix_loss=True,
            decoder_hidden_size=width,
            decoder_num_hidden_layers=DECODER_DEPTH,
            decoder_num_attention_heads=width // 32,
            decoder_intermediate_size=4 * width,
        )
    )
    return stepped(painter.parameters(), lambda: painter(numbers).loss, numeric)


def main() -> None:
    """Take turns, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2, help="Steps a turn.")
    options = parser.parse_args()
    precision.tune_allocator()
    precision.use_threads(options.threads)
    pixels = np.random.default_rng(0).integers(256, size=(options.rows, 32, 32, 3), dtype=np.uint8)
    numbers, labels = PATCHES.joined(PATCHES.patched(pixels)), torch.arange(options.rows) % CLASSES
    batch = Batch(*PATCHES.sequences(pixels), torch.arange(options.rows), labels=labels)
    peers: dict[str, dict[str, str]] = {"transformers, as it comes": {}}
    if precision.has_bf16("cpu"):
        peers["transformers, bf16"] = {"numeric": "bf16"}
        peers["transformers, bf16, eager attention"] = {"numeric": "bf16", "attention": "eager"}
    ways: dict[str, Step] = {}
    for kind, told in (("classifier", "classifier"), ("painter", "masked autoencoder")):
        ways[f"{told}, Headwater"] = ours(options.size, kind, batch)
        for peer, way in peers.items():
            ways[f"{told}, {peer}"] = theirs(options.size, kind, numbers, labels, **way)
    everything = "masked autoencoder, nearly all in sight, Headwater"
    ways[everything] = ours(options.size, "painter that sees all but one patch", batch)
    segments: dict[str, list[Segment]] = {name: [] for name in ways}
    for turn in range(options.rounds + 1):
        for name, step in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(options.steps):
                step()
            passed = time.perf_counter() - wall, time.process_time() - cpu
            if turn:  # the first one warms up
                segments[name].append(Segment(options.rows * options.steps, *passed))
    lines = [
        [
            name,
            rates(found).show(1),
            rates(found, "cpu").show(1),
            ratios(segments[f"{name.split(',')[0]}, Headwater"], found, "cpu").show(2, "×")
            if name != f"{name.split(',')[0]}, Headwater"
            else "",
        ]
        for name, found in segments.items()
    ]
    header = ["", "pictures/s by the clock", "by processor time", "the first line of its kind is faster by"]
    numeric = precision.decide_precision("auto")
    text = (
        f"# Training on pictures ({options.size}, 65 positions, {options.rows} pictures a step, "
        f"{options.threads} thread(s), {numeric})\n\nMedian of {options.rounds} turns (smallest … largest); "
        f"transformers {version('transformers')}.\n\n{table(header, lines)}"
    )
    write_results(f"pictures-{options.size}", environment(threads=options.threads), text, segments)


if __name__ == "__main__":
    main()
