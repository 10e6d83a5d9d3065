"""Corpus → training arrays: our files-to-store path against ``datasets`` (load, map(tokenize), group).

    python -m benchmarks.corpus --threads 1

The vocabulary is learnt beforehand and given to all; every turn begins with nothing cached. "Complete" is what
``headwater pretrain`` does: find the files, read, drop exact and near duplicates, set documents aside for
validation, encode, write, keep the fingerprint of every document. "No search for duplicates" reads, encodes and
writes, which is what the peer does.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    Stage,
    contestants,
    environment,
    race,
    rates,
    ratios,
    table,
    version,
    write_results,
)

CORPORA = {"English": "lm/english_mixed/train.txt", "Chinese": "lm/chinese_modern_mixed/train.txt"}
VOCABULARY = 8192
WINDOW = 128
COMPLETE, PLAIN, PEER = "headwater, complete", "headwater, no search for duplicates", "datasets"


def ours_complete(corpus: Path, tokenizer: Path, folder: Path) -> None:
    """The pool of a pre-training run."""
    from headwater.data.pool import build_pool
    from headwater.data.tokenizer import Tokenizer

    build_pool([corpus], tokenizer=Tokenizer.load(tokenizer), cache=folder)


def ours_plain(corpus: Path, tokenizer: Path, folder: Path) -> None:
    """Read, encode, write."""
    from headwater.data import Problems, read_documents
    from headwater.data.splits import text_digest
    from headwater.data.store import write_store
    from headwater.data.tokenizer import Tokenizer

    encoder = Tokenizer.load(tokenizer)
    digests: list[int] = []

    def arrays() -> Iterator[Any]:
        examples = read_documents([corpus], problems=Problems())
        while group := [example.text for example in islice(examples, 1024)]:
            digests.extend(map(text_digest, group))
            yield from encoder.encode_batch(group)

    write_store(folder / "store.arrow", arrays(), digests)


def peer(corpus: Path, tokenizer: Path, folder: Path) -> None:
    """As the language-modelling examples of transformers do it."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    encoder = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer))
    workers = int(os.environ["OMP_NUM_THREADS"])
    options = {"batched": True, "num_proc": workers if workers > 1 else None}

    def grouped(rows: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        joined = {name: [value for row in column for value in row] for name, column in rows.items()}
        whole = len(joined["input_ids"]) // WINDOW * WINDOW
        return {
            name: [flat[i : i + WINDOW] for i in range(0, whole, WINDOW)] for name, flat in joined.items()
        }

    lines = datasets.load_dataset("text", data_files=str(corpus), cache_dir=str(folder), split="train")
    encoded = lines.map(
        lambda rows: encoder(rows["text"], return_special_tokens_mask=True),
        remove_columns=["text"],
        **options,
    )
    encoded.map(grouped, **options)


WAYS: dict[str, Callable[[Path, Path, Path], None]] = {COMPLETE: ours_complete, PLAIN: ours_plain, PEER: peer}


def run(way: str, corpus: Path, tokenizer: Path) -> None:
    """A contestant: the whole job, a turn, in an empty folder; its work is counted in bytes."""
    stage = Stage()

    def job() -> float:
        with tempfile.TemporaryDirectory() as folder:
            WAYS[way](corpus, tokenizer, Path(folder))
        return float(corpus.stat().st_size)

    with tempfile.TemporaryDirectory() as folder:  # imports, and whatever else happens once a process
        small = Path(folder) / "small.txt"
        small.write_bytes(b"\n".join(corpus.read_bytes().split(b"\n")[:50]))
        WAYS[way](small, tokenizer, Path(folder) / "out")
    stage.say()
    while stage.turn(job):
        pass
    stage.say()


def vocabulary(corpus: Path, folder: Path) -> Path:
    """A ``tokenizer.json`` learnt from the corpus, once."""
    from headwater.data.tokenizer import Tokenizer

    path = folder / corpus.parent.name / "tokenizer.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        Tokenizer.learn(corpus.read_text(encoding="utf-8").splitlines(), VOCABULARY).save(path)
    return path


def main() -> None:
    """Race on each corpus, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADWATER_DATA"), help="the data sets")
    parser.add_argument("--arena", type=Path, default=Path(tempfile.gettempdir()) / "headwater-arena")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        run(options.run[0], Path(options.run[1]), Path(options.run[2]))
        return
    if options.data is None:
        parser.error("name the folder of the data sets with --data or HEADWATER_DATA")
    rows: list[list[str]] = []
    numbers: dict[str, Any] = {}
    for name, place in CORPORA.items():
        corpus = Path(options.data) / place
        given = [str(corpus), str(vocabulary(corpus, options.arena))]
        commands = {way: ["-m", "benchmarks.corpus", "--run", way, *given] for way in WAYS}
        with contestants(commands, threads=options.threads, logs=options.arena / "logs") as running:
            race(running, options.rounds)
        segments = numbers[name] = {entry.name: entry.segments for entry in running}
        for way, mine in segments.items():
            speed = rates([type(s)(s.work / 1e6, s.wall, s.cpu) for s in mine]).show()
            faster = "" if way == PEER else ratios(mine, segments[PEER]).show(sign="×")
            rows.append([f"{name}, {corpus.stat().st_size / 1e6:.1f} MB", way, speed, faster])
    text = (
        f"# Corpus → arrays, {options.threads} core(s)\n\nVocabulary of {VOCABULARY:,}, given; median of "
        f"{options.rounds} interleaved runs (smallest … largest).\n\n"
        f"{table(['corpus', 'way', 'MB/s', 'faster than datasets by'], rows)}"
    )
    facts = environment(
        threads=options.threads, datasets=version("datasets"), tokenizers=version("tokenizers")
    )
    write_results(f"corpus-{options.threads}-threads", facts, text, numbers)


if __name__ == "__main__":
    main()
