"""Translation against transformers and CTranslate2 with the same weights: the same texts? how fast? which BLEU?

    python -m benchmarks.translation RUN test.tsv --source en --target de

RUN is an encoder-decoder in M2M-100's layout (the default of ``finetune scratch --task translation``). CTranslate2
counts an M2M-100's positions from 2, as Facebook's vocabulary has them; ours begin behind the number of the padding
token, so the table of positions is cut there when the weights are converted.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import sacrebleu
import torch
import transformers
from ctranslate2.converters import transformers as converting

import headwater as hw
from benchmarks.engines import OurWords
from benchmarks.harness import Segment, environment, rates, ratios, table, version, write_results
from headwater.run.generating import Author, Decoding
from headwater.training.precision import look_at_machine

BATCH = 32
PENALTY = 0.6
PEERS = {"greedy": {"beam_size": 1}, "five beams": {"beam_size": 5, "length_penalty": PENALTY}}
GENERATE = {"greedy": {"num_beams": 1}, "five beams": {"num_beams": 5, "length_penalty": PENALTY}}
OURS = {"greedy": Decoding(temperature=0.0), "five beams": Decoding(beam=5, length_penalty=PENALTY)}


class Loader(OurWords, converting.M2M100Loader):
    """Reads our folder: positions from the first, no languages."""

    def set_config(self, config: Any, model: Any, tokenizer: Any) -> None:
        """What a translation begins with too."""
        super().set_config(config, model, tokenizer)
        config.decoder_start_token = tokenizer.convert_ids_to_tokens(model.config.decoder_start_token_id)

    def set_position_encodings(self, spec: Any, module: Any) -> None:
        """The table without the rows that transformers skips."""
        spec.encodings = module.weights[module.padding_idx + 1 :]


def translators(
    author: Author, folder: Path, compute_type: str
) -> dict[str, Callable[[list[str]], list[str]]]:
    """CTranslate2's ways to translate with the weights of ``folder``."""
    names = transformers.AutoTokenizer.from_pretrained(folder).get_vocab()
    tokens = sorted(names, key=names.__getitem__)
    tokenizer, room = author.reader.tokenizer, author.reader.length - 2
    begin, end = tokens[tokenizer.cls], tokens[tokenizer.sep]
    converting._MODEL_LOADERS["M2M100Config"] = Loader()
    with tempfile.TemporaryDirectory() as converted:
        converting.TransformersConverter(str(folder)).convert(converted, force=True)
        translator = ctranslate2.Translator(converted, intra_threads=1, compute_type=compute_type)

    def translate(texts: list[str], options: dict[str, Any]) -> list[str]:
        sources = [[begin, *[tokens[n] for n in e[:room]], end] for e in tokenizer.encode_batch(texts)]
        found = translator.translate_batch(sources, max_batch_size=BATCH, max_decoding_length=room, **options)
        best = [result.hypotheses[0] for result in found]
        return [tokenizer.decode([names[t] for t in text if t not in (begin, end)]) for text in best]

    return {way: lambda texts, o=options: translate(texts, o) for way, options in PEERS.items()}


def generating(
    author: Author, folder: Path, dtype: torch.dtype
) -> dict[str, Callable[[list[str]], list[str]]]:
    """transformers' ``generate`` with the weights of ``folder``, texts of like length together."""
    model: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=dtype).eval()
    words: Any = transformers.AutoTokenizer.from_pretrained(folder)
    room = author.reader.length

    def translate(texts: list[str], options: dict[str, Any]) -> list[str]:
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found: dict[int, str] = {}
        for first in range(0, len(order), BATCH):
            places = order[first : first + BATCH]
            asked = words([texts[place] for place in places], padding=True, return_tensors="pt")
            with torch.inference_mode():
                written = model.generate(
                    asked["input_ids"],
                    attention_mask=asked["attention_mask"],
                    max_new_tokens=min(room, asked["input_ids"].shape[1] * 3 // 2 + 16),
                    do_sample=False,
                    **options,
                )
            found.update(zip(places, words.batch_decode(written, skip_special_tokens=True), strict=True))
        return [found[number].strip() for number in range(len(texts))]

    return {way: lambda texts, o=options: translate(texts, o) for way, options in GENERATE.items()}


def main() -> None:
    """Take turns, compare the texts, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="de")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with options.test.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts, references = [row[options.source] for row in rows], [row[options.target] for row in rows]
    run = hw.open_run(options.run)
    author = Author.load(run.folder)
    quick = Author.load(hw.open_run(options.run, precision="bf16").folder)
    compiled = {
        precision: Author.load(hw.open_run(options.run, engine="ctranslate2", precision=precision).folder)
        for precision in ("fp32", "int8")
    }
    halves = look_at_machine("cpu").bf16
    torch.set_num_threads(1)
    ways: dict[tuple[str, str], Callable[[list[str]], list[str]]] = {}
    for way, decoding in OURS.items():
        ways["headwater", way] = lambda texts, d=decoding: [a["text"] for a in author.answer(texts, d)]
        if halves:
            ways["headwater bf16", way] = lambda texts, d=decoding: [
                a["text"] for a in quick.answer(texts, d)
            ]
        for precision, other in compiled.items():
            ways[f"headwater --engine ctranslate2, {precision}", way] = lambda texts, d=decoding, a=other: [
                answer["text"] for answer in a.answer(texts, d)
            ]
    for kind in (torch.float32, *((torch.bfloat16,) if halves else ())):
        for way, translate in generating(author, run.path / "model", kind).items():
            ways[f"transformers {str(kind).removeprefix('torch.')}", way] = translate
    for kind in ("float32", "int8"):
        for way, translate in translators(author, run.path / "model", kind).items():
            ways[f"CTranslate2 as it converts, {kind}", way] = translate
    segments: dict[tuple[str, str], list[Segment]] = {key: [] for key in ways}
    written: dict[tuple[str, str], list[str]] = {}
    for _ in range(options.rounds):
        for key, translate in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            written[key] = translate(texts)
            passed = time.perf_counter() - wall, time.process_time() - cpu
            segments[key].append(Segment(sum(len(text.split()) for text in written[key]), *passed))
    lines = [
        [
            *key,
            f"{sacrebleu.corpus_bleu(found, [references]).score:.2f}",
            f"{sum(a == b for a, b in zip(found, written['headwater', key[1]], strict=True)):,} of {len(found):,}",
            rates(segments[key], "cpu").show(0),
            ratios(segments[key], segments["headwater", key[1]], "cpu").show(2, "×"),
        ]
        for key, found in written.items()
    ]
    header = [
        "",
        "",
        "BLEU",
        "the same text as headwater",
        "words a second of processor time",
        "against headwater",
    ]
    text = (
        f"# Translation with the same weights ({options.run.name}, {options.test.name}, 1 thread)\n\n"
        f"Median of {options.rounds} rounds in turns; transformers {version('transformers')}, CTranslate2 "
        f"{version('ctranslate2')}, batches of {BATCH}.\n\n" + table(header, lines)
    )
    write_results(f"translation-{options.run.name}", environment(threads=1), text, segments_of(segments))


def segments_of(segments: dict[tuple[str, str], list[Segment]]) -> dict[str, list[Segment]]:
    """The segments under names that JSON takes."""
    return {", ".join(key): turns for key, turns in segments.items()}


if __name__ == "__main__":
    main()
