"""What both sides of the pre-training race are given: the same tokens, the same vocabulary, the same first weights."""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headwater.data.store import Store, write_store
from headwater.data.tokenizer import Tokenizer
from headwater.models import TransformerSettings, build_model, decoder_settings, encoder_settings
from headwater.models.bundle import save_bundle
from headwater.models.cost import cost_of

VOCABULARY = 8192
HIDDEN_SHARE = 0.3
FRAME = 2  # [CLS] and [SEP]
SEED = 7


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of documents: tokens of the shortest and the longest, framed; rows of a peer's batch; what is asked."""

    shortest: int
    longest: int
    rows: int
    causal: bool = False  # the next token of a decoder; else hidden tokens of an encoder

    @property
    def tokens_per_batch(self) -> int:
        """As many real tokens a step as the peer's rows bring on average."""
        return self.rows * (self.shortest + self.longest) // 2


WORKS = {
    "fixed": Work(128, 128, 32),
    "ragged": Work(20, 512, 32),
    "causal": Work(256, 256, 16, causal=True),
}


@dataclass(frozen=True, slots=True)
class Arena:
    """The folder that holds the material."""

    folder: Path

    @property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary of both sides."""
        return Tokenizer.load(self.folder / "tokenizer.json")

    def store(self, work: str) -> Store:
        """The documents to learn from."""
        return Store.open(self.folder / f"{work}.arrow", verify=False)

    @property
    def held_out(self) -> Store:
        """Documents that neither side learns from."""
        return Store.open(self.folder / "held-out.arrow", verify=False)

    def settings(self, work: str, size: str) -> TransformerSettings:
        """ModernBERT's shape for hidden tokens, Llama's for the next one."""
        shape = decoder_settings if WORKS[work].causal else encoder_settings
        return shape(size, self.tokenizer.size)

    def start(self, work: str, size: str) -> Path:
        """A model folder with the first weights, which both sides load."""
        causal = WORKS[work].causal
        folder = self.folder / f"start-{'decoder' if causal else 'encoder'}-{size}"
        if not folder.exists():
            head = "next_token" if causal else "masked_tokens"
            model = build_model(self.settings(work, size), head=head, seed=SEED)
            save_bundle(folder, model, self.tokenizer, {})
        return folder

    def flops_per_token(self, work: str, size: str) -> float:
        """Necessary operations of a training step for each real token: the output layer where there is a loss only."""
        settings = self.settings(work, size)
        share = 1.0 if WORKS[work].causal else HIDDEN_SHARE
        lengths, counts = np.unique(self.store(work).lengths + FRAME, return_counts=True)
        costs = [cost_of(settings, length=int(n), loss_share=share).training_flops for n in lengths]
        return float(np.dot(costs, counts) / np.dot(lengths, counts))


def prepared(folder: Path, data: Path) -> Arena:
    """The arena in ``folder``, built from lm/english_mixed of the data sets where it is not there yet."""
    arena = Arena(folder)
    if all((folder / f"{name}.arrow").exists() for name in (*WORKS, "held-out")):
        return arena
    folder.mkdir(parents=True, exist_ok=True)
    texts = _lines(data / "lm/english_mixed/train.txt")
    tokenizer = Tokenizer.learn(texts, VOCABULARY)
    tokenizer.save(folder / "tokenizer.json")
    tokens, _ = tokenizer.encode_flat(texts)
    for name, work in WORKS.items():
        _write(folder / f"{name}.arrow", _cut(tokens, work))
    held_out, _ = tokenizer.encode_flat(_lines(data / "lm/english_mixed/valid.txt"))
    _write(folder / "held-out.arrow", _cut(held_out, WORKS["fixed"]))
    return arena


def from_command_line(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Arena]:
    """The arguments, and the arena in the folder that they name."""
    default = Path(tempfile.gettempdir()) / "headwater-arena"
    parser.add_argument("--arena", type=Path, default=default, help="where the prepared material is kept")
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADWATER_DATA"), help="the data sets")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the data sets with --data or HEADWATER_DATA")
    return arguments, prepared(arguments.arena, Path(arguments.data))


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line]


def _cut(tokens: NDArray[np.unsignedinteger], work: Work) -> list[NDArray[np.unsignedinteger]]:
    """Running text cut into documents whose lengths are uniform between the shortest and the longest."""
    random = np.random.default_rng(SEED)
    most = 2 * len(tokens) // (work.shortest + work.longest) * 2
    sizes = random.integers(work.shortest - FRAME, work.longest - FRAME, most, endpoint=True)
    ends = np.cumsum(sizes)
    return np.split(tokens, ends[ends <= len(tokens)])[:-1]


def _write(path: Path, documents: list[NDArray[np.unsignedinteger]]) -> None:
    write_store(path, documents, range(len(documents)))
