"""Writing with a decoder, token by token: Headwater, transformers and CTranslate2 on the same weights.

    python -m benchmarks.generation --threads 1

Random weights in Llama's layout; prompts of 16 to 64 tokens; the likeliest token each time, so that all of them can be
asked to write the same. Nothing ends a text before its time. The speed is that of new tokens, reading the prompts
included.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
import transformers
from ctranslate2.converters import transformers as converting

from benchmarks.engines import OurWords
from benchmarks.harness import Segment, environment, rates, ratios, table, version, write_results
from headwater.data.tokenizer import Tokenizer
from headwater.interchange import CompiledPen
from headwater.models import build_model, decoder_settings, rounded, save_bundle
from headwater.models.generation import Ending, OwnPen, Pen, Prompt, Sampling
from headwater.training import precision

VOCABULARY = 8_192
Prompts = list[list[int]]
Way = Callable[[Prompts], list[list[int]]]


def a_tokenizer() -> Tokenizer:
    """Any vocabulary of the wanted size: what its tokens stand for does not matter here."""
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["".join(rng.choice(letters, 7)) for _ in range(4 * VOCABULARY)]
    return Tokenizer.learn([" ".join(words)] * 2, VOCABULARY)


def ours(pen: Pen, tokenizer: Tokenizer, new: int) -> Way:
    """Headwater's own loop with its cache, or CTranslate2 in its place."""
    never = tokenizer.size  # a number that no word has
    ending = Ending(end=never, padding=tokenizer.pad, most=new, pieces=tokenizer.pieces)

    def run(prompts: Prompts) -> list[list[int]]:
        texts: list[list[int]] = [[] for _ in prompts]
        asked = [Prompt(np.array(prompt, np.int64)) for prompt in prompts]
        for written in pen.write(asked, Sampling(temperature=0.0), ending):
            texts[written.item].append(-1 if written.token is None else written.token)
        return texts

    return run


def theirs(folder: Path, padding: int, new: int, *, dtype: torch.dtype = torch.float32, **more: Any) -> Way:
    """``generate`` of transformers, prompts padded on the left as its documentation has it."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    def run(prompts: Prompts) -> list[list[int]]:
        width = max(map(len, prompts))
        inputs = torch.tensor([[padding] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.no_grad():
            found = model.generate(
                inputs,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=new,
                min_new_tokens=new,
                pad_token_id=padding,
                eos_token_id=None,
                **more,
            )
        return found[:, width:].tolist()

    return run


class Loader(OurWords, converting.LlamaLoader):
    """Reads our folder."""

    def set_config(self, config: Any, model: Any, tokenizer: Any) -> None:
        """The epsilon of the norms too."""
        super().set_config(config, model, tokenizer)
        config.layer_norm_epsilon = model.config.rms_norm_eps


def compiled_engine(folder: Path, compute_type: str, threads: int, new: int) -> Way:
    """CTranslate2 with the weights of ``folder``."""
    names = transformers.AutoTokenizer.from_pretrained(folder).get_vocab()
    tokens = sorted(names, key=names.__getitem__)
    converting._MODEL_LOADERS["LlamaConfig"] = Loader()
    with tempfile.TemporaryDirectory() as converted:
        converting.TransformersConverter(str(folder)).convert(converted, force=True)
        engine = ctranslate2.Generator(converted, intra_threads=threads, compute_type=compute_type)

    def run(prompts: Prompts) -> list[list[int]]:
        found = engine.generate_batch(
            [[tokens[number] for number in prompt] for prompt in prompts],
            max_length=new,
            min_length=new,
            sampling_topk=1,
            include_prompt_in_result=False,
            end_token=[],
        )
        return [result.sequences_ids[0] for result in found]

    return run


def main() -> None:
    """Take turns at every number of texts, compare what is written, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="small")
    parser.add_argument("--new", type=int, default=64, help="Tokens written to each prompt.")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 32])
    options = parser.parse_args()
    precision.tune_allocator()
    precision.use_threads(options.threads)
    tokenizer = a_tokenizer()
    model = build_model(decoder_settings(options.size, tokenizer.size), head="next_token", seed=0).eval()
    sections: list[str] = []
    kept: dict[str, list[Segment]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        save_bundle(folder, model, tokenizer, {})
        ways: dict[str, Way] = {
            "Headwater": ours(OwnPen(model), tokenizer, options.new),
            "transformers, generate": theirs(folder, tokenizer.pad, options.new),
            "transformers, static cache": theirs(
                folder, tokenizer.pad, options.new, cache_implementation="static", disable_compile=True
            ),
            "CTranslate2 as it converts, float32": compiled_engine(
                folder, "float32", options.threads, options.new
            ),
            "CTranslate2 as it converts, int8": compiled_engine(folder, "int8", options.threads, options.new),
        }
        for rounding in ("fp32", "int8"):
            pen = CompiledPen(model, tokenizer, rounding, options.threads)
            ways[f"Headwater, --engine ctranslate2, {rounding}"] = ours(pen, tokenizer, options.new)
        if precision.has_bf16("cpu"):
            ways["Headwater, bf16"] = ours(OwnPen(rounded(model)), tokenizer, options.new)
            ways["transformers, bf16"] = theirs(folder, tokenizer.pad, options.new, dtype=torch.bfloat16)
        for rows in options.batches:
            prompts = prompts_of(tokenizer, rows)
            written = {name: way(prompts) for name, way in ways.items()}  # warms up too
            segments: dict[str, list[Segment]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, way in ways.items():
                    wall, cpu = time.perf_counter(), time.process_time()
                    way(prompts)
                    passed = time.perf_counter() - wall, time.process_time() - cpu
                    segments[name].append(Segment(rows * options.new, *passed))
            sections.append(f"## {rows} text(s) at a time\n\n{comparison(segments, written)}")
            kept |= {f"{name}, {rows}": found for name, found in segments.items()}
    text = (
        f"# Writing with a decoder ({options.size}, {options.new} tokens a text, {options.threads} thread(s))\n\n"
        f"Median of {options.rounds} rounds in turns (smallest … largest); transformers {version('transformers')}, "
        f"CTranslate2 {version('ctranslate2')}.\n\n" + "\n\n".join(sections)
    )
    write_results(f"generation-{options.size}", environment(threads=options.threads), text, kept)


def prompts_of(tokenizer: Tokenizer, rows: int) -> Prompts:
    """Token numbers that mean nothing, 16 to 64 of them."""
    rng = np.random.default_rng(rows)
    sizes = rng.integers(16, 65, rows)
    return [[tokenizer.cls, *rng.integers(300, VOCABULARY, size).tolist()] for size in sizes]


def comparison(segments: dict[str, list[Segment]], written: dict[str, list[list[int]]]) -> str:
    """One line a contestant; speeds against the first one of transformers."""
    first, peer = list(segments)[:2]
    lines = [
        [
            name,
            f"{sum(a == b for a, b in zip(written[name], written[first], strict=True))} of {len(written[first])}",
            rates(found).show(0),
            rates(found, "cpu").show(0),
            ratios(found, segments[peer], "cpu").show(2, "×"),
        ]
        for name, found in segments.items()
    ]
    header = ["", "the same text", "tokens/s by the clock", "by processor time", f"against {peer}"]
    return table(header, lines)


if __name__ == "__main__":
    main()
