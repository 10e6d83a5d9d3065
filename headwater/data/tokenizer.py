"""A subword vocabulary learnt from the user's own text: byte-level BPE over bounded pieces.

Any text comes back byte for byte, in any script (Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et
al. 2019). Which pieces and why: ``headwater.data.characters``. Where words are names and have no parts (the items of
histories), a vocabulary of whole words takes its place. V is the vocabulary.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors, trainers

from headwater.data.characters import PIECES
from headwater.data.piece_cache import PieceCache, Tokens
from headwater.data.words import PairCounter, WordRules
from headwater.errors import BadDataError, MissingInputError, UsageError

SPECIAL_TOKENS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
UNKNOWN = "[UNK]"
"""Of a vocabulary of whole words: every word that is not in it."""
HAN_WORDS_FILE = "han_words.txt"
SMALLEST_SIZE = 256 + len(SPECIAL_TOKENS)

Progress = Callable[[str, int, int | None], None]


class Tokenizer:
    """Text to token numbers and back.

    ``[PAD] [CLS] [SEP] [MASK]`` are the tokens 0 to 3. ``encode_batch`` adds none of them, and no text can
    produce them. The file ``tokenizer.json`` alone serves any loader of the ``tokenizers`` library; the
    cohesive Chinese pairs, which only whole-word masking needs, stand beside it in ``han_words.txt``. A vocabulary
    of whole words (``unknown`` is not None) reads words between blanks, and any other word as ``[UNK]``, token 4.
    """

    def __init__(self, backend: tokenizers.Tokenizer, han_words: Sequence[str] = ()) -> None:
        _require_specials(backend)
        self._json = backend.to_str()
        self._backend = _without_specials(self._json)
        self.han_words = tuple(han_words)
        self.size = backend.get_vocab_size(with_added_tokens=True)
        self.pad, self.cls, self.sep, self.mask = (_number(backend, name) for name in SPECIAL_TOKENS)
        self.dtype = np.uint16 if self.size <= 1 << 16 else np.uint32
        self.unknown = _number(backend, UNKNOWN) if _has_whole_words(backend) else None

    # ---- learning, reading, writing

    @classmethod
    def learn(
        cls,
        texts: Iterable[str],
        size: int,
        progress: Progress | None = None,
        *,
        special: Sequence[str] = SPECIAL_TOKENS,
    ) -> "Tokenizer":
        """Learn a vocabulary of at most ``size`` tokens; fewer when no pair of tokens occurs twice any more.

        ``special`` are the special tokens in the order of their numbers.

        ``progress("learning the vocabulary", texts read, None)`` is called now and then; what it raises stops
        the learning.
        """
        if size < SMALLEST_SIZE:
            raise UsageError(
                f"a vocabulary of {size} tokens cannot hold the 256 bytes and {len(SPECIAL_TOKENS)} special "
                f"tokens; ask for {SMALLEST_SIZE} or more"
            )
        pairs = PairCounter()
        backend = _untrained()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            show_progress=False,
            special_tokens=[_special(name) for name in special],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        backend.train_from_iterator(_watched(texts, pairs, progress), trainer)
        backend.post_processor = _framing(backend)
        return cls(backend, pairs.words())

    @classmethod
    def learn_for_pairs(
        cls, texts: Iterable[str], size: int, progress: Progress | None = None
    ) -> "Tokenizer":
        """The same, with [SEP] behind [MASK]: whoever reads CLIP's layout takes a [SEP] of number 2 for another."""
        pad, cls_, sep, mask = SPECIAL_TOKENS
        return cls.learn(texts, size, progress, special=(pad, cls_, mask, sep))

    @classmethod
    def of_words(cls, words: Iterable[str]) -> "Tokenizer":
        """A vocabulary of whole words, a token each in this order from number 5 on; texts are words between blanks.

        A word that reads like a special token has no token of its own.
        """
        special = [*SPECIAL_TOKENS, UNKNOWN]
        numbers = {word: number for number, word in enumerate(dict.fromkeys([*special, *words]))}
        backend = tokenizers.Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
        backend.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
        backend.add_special_tokens([_special(name) for name in special])
        backend.post_processor = _framing(backend)
        return cls(backend)

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a ``tokenizer.json``, and ``han_words.txt`` when it stands beside it."""
        path = Path(path)
        if not path.is_file():
            raise MissingInputError(f"no vocabulary at {path}; expected a tokenizer.json")
        try:
            backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception for anything malformed
            raise BadDataError(
                f"{path} is not a tokenizer.json of the tokenizers library: {error}"
            ) from error
        words = path.with_name(HAN_WORDS_FILE)
        return cls(backend, words.read_text(encoding="utf-8").split() if words.is_file() else ())

    def save(self, path: str | Path) -> None:
        """Write ``tokenizer.json`` at ``path``, and ``han_words.txt`` beside it when Chinese was learnt."""
        path = Path(path)
        _replace_text(path, self._json)
        if self.han_words:
            _replace_text(path.with_name(HAN_WORDS_FILE), "\n".join(self.han_words) + "\n")

    @cached_property
    def digest(self) -> str:
        """A digest of everything that decides how text is encoded and grouped into words."""
        canonical = json.dumps(json.loads(self._json), sort_keys=True) + "\n".join(self.han_words)
        return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()

    # ---- text to tokens and back

    def encode_batch(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, special tokens not added; the arrays are views of one array."""
        tokens, lengths = self.encode_flat(texts)
        return np.split(tokens, np.cumsum(lengths)[:-1]) if len(lengths) else []

    def encode_flat(self, texts: Sequence[str]) -> tuple[Tokens, NDArray[np.int64]]:
        """The tokens of all texts one after another, and how many belong to each."""
        return self._encoder(texts)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of some tokens; special tokens say nothing, broken characters become U+FFFD."""
        pieces = filter(None, (self.pieces[token] for token in tokens))
        between = b"" if self.unknown is None else b" "
        return between.join(pieces).decode("utf-8", errors="replace")

    @cached_property
    def _encoder(self) -> Callable[[Sequence[str]], tuple[Tokens, NDArray[np.int64]]]:
        # Pieces may be remembered only where the pattern is ours; other vocabularies take the library's way.
        return PieceCache(self._encode_pieces, self.dtype) if self._is_ours else self._encode_by_library

    @cached_property
    def _is_ours(self) -> bool:
        description = json.loads(self._json)
        pattern = json.dumps(description["pre_tokenizer"])
        return description["normalizer"] is None and json.dumps(PIECES) in pattern

    def _encode_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def _encode_by_library(self, texts: Sequence[str]) -> tuple[Tokens, NDArray[np.int64]]:
        numbers = self._encode_pieces(texts)
        flat = np.fromiter(chain.from_iterable(numbers), self.dtype)
        return flat, np.fromiter(map(len, numbers), np.int64, len(numbers))

    # ---- what the tokens stand for

    def places(self, text: str, tokens: Tokens) -> NDArray[np.int64]:
        """Which characters of its text each token stands for, from the first to behind the last: (tokens, 2).

        Tokens are bytes: one that begins or ends inside a character stands for the whole of it.
        """
        if not self._is_ours:  # it may have changed the text before it cut it
            offsets = self._backend.encode(text, add_special_tokens=False).offsets
            return np.array(offsets, np.int64).reshape(-1, 2)
        sizes = self.token_bytes[tokens]
        ends = np.cumsum(sizes)
        written = np.frombuffer(text.encode(), np.uint8)
        character = np.cumsum((written & 0xC0) != 0x80) - 1  # of each byte: continuation bytes are 10xxxxxx
        return np.stack([character[ends - sizes], character[ends - 1] + 1], axis=1)

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes that each token stands for; none for special tokens."""
        byte_of = {character: byte for byte, character in _byte_characters().items()}
        pieces = [b""] * self.size
        for text, number in self._backend.get_vocab(with_added_tokens=False).items():
            if number < len(SPECIAL_TOKENS) or number == self.unknown or text.strip() in SPECIAL_TOKENS:
                continue
            if self.unknown is not None:
                pieces[number] = text.encode()
            else:
                pieces[number] = bytes(byte_of[character] for character in text)
        return tuple(pieces)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each token is called in tokenizer.json."""
        numbers = self._backend.get_vocab(with_added_tokens=True)
        return tuple(sorted(numbers, key=numbers.__getitem__))

    @cached_property
    def token_bytes(self) -> NDArray[np.int64]:
        """(V,) how many bytes of text each token stands for: bits per byte = loss in nats / ln 2 / bytes."""
        return np.array([len(piece) for piece in self.pieces], np.int64)

    @cached_property
    def word_rules(self) -> WordRules:
        """Where words begin."""
        return WordRules.of(self.pieces, self.han_words)

    @property
    def word_starts(self) -> NDArray[np.bool_]:
        """(V,) True when a token begins a word, as far as it alone can tell; see ``word_groups``."""
        return self.word_rules.starts

    def word_groups(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The number of the word each token of a flat array belongs to: the units of whole-word masking."""
        return self.word_rules.groups(tokens)

    def settings_for_transformers(self) -> dict[str, Any]:
        """The content of ``tokenizer_config.json``, which Hugging Face transformers reads too."""
        unknown = {} if self.unknown is None else {"unk_token": UNKNOWN}
        return {
            **unknown,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
        }


def _untrained() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    # No normaliser: it would change bytes.
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _framing(backend: tokenizers.Tokenizer) -> processors.TemplateProcessing:
    """[CLS] text [SEP], or [CLS] text [SEP] other text [SEP]."""
    cls_sep = [(name, _number(backend, name)) for name in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=cls_sep
    )


def _has_whole_words(backend: tokenizers.Tokenizer) -> bool:
    return isinstance(backend.model, models.WordLevel) and backend.token_to_id(UNKNOWN) is not None


def _special(name: str) -> AddedToken:
    # In training a masked token has taken its leading blank with it, so [MASK] swallows the blank before it.
    return AddedToken(name, special=True, normalized=False, lstrip=name == "[MASK]")


def _number(backend: tokenizers.Tokenizer, name: str) -> int:
    number = backend.token_to_id(name)
    assert number is not None, f"{name} was required above"
    return number


def _require_specials(backend: tokenizers.Tokenizer) -> None:
    missing = [name for name in SPECIAL_TOKENS if backend.token_to_id(name) is None]
    readable = isinstance(backend.decoder, decoders.ByteLevel) or _has_whole_words(backend)
    if missing or not readable:
        found = f"no {', '.join(missing)}" if missing else f"the decoder {type(backend.decoder).__name__}"
        expected = f"byte-level BPE or whole words with the tokens {' '.join(SPECIAL_TOKENS)}"
        raise BadDataError(
            f"this vocabulary has {found}; expected {expected}; "
            "learn one with Headwater, or load a vocabulary of that kind (ModernBERT's is)"
        )


def _without_specials(text: str) -> tokenizers.Tokenizer:
    """The same vocabulary, for which "[MASK]" in a text is six characters like any other."""
    description = json.loads(text)
    if description["model"]["type"] == "WordLevel":
        # No text has a word with a blank in it.
        words = description["model"]["vocab"]
        description["model"]["vocab"] = {
            f" {word}" if word in SPECIAL_TOKENS else word: number for word, number in words.items()
        }
    return tokenizers.Tokenizer.from_str(
        json.dumps({**description, "added_tokens": [], "post_processor": None})
    )


def _byte_characters() -> dict[int, str]:
    """The printable character by which ``tokenizer.json`` writes each byte (Radford et al. 2019's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + place) for place, byte in enumerate(others)
    }


def _watched(texts: Iterable[str], pairs: PairCounter, progress: Progress | None) -> Iterator[str]:
    for count, text in enumerate(texts, 1):
        pairs.add(text)
        if progress is not None and count % 1000 == 0:
            progress("learning the vocabulary", count, None)
        yield text


def _replace_text(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
