"""Which rows belong to which part, and which rows are the same: all by content, never by row number."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from headwater.data.examples import Example
from headwater.data.grouping import grouped
from headwater.data.key_index import KeyIndex, Keys
from headwater.data.minhash import PERMUTATIONS, Signatures, agreement, fold, signatures
from headwater.data.problems import Problems
from headwater.errors import BadDataError, MissingInputError
from headwater.randomness import key

pa: Any = pyarrow  # it ships no types
Match = Literal["exact", "near"]
_ANSWERS: tuple[Match | None, ...] = (None, "near", "exact")
NEAR_JACCARD = 0.8
LONG_LINE = 40
LONG_HAN_LINE = 15
_BANDS = 16  # of four 16-bit values each: two texts of Jaccard 0.8 share a band with probability 0.9998
_BATCH = 1024
_FORMAT = b"headwater.fingerprints.1"
_han = re.compile(
    f"[\u3400-\u9fff\U00020000-\U0003ffff](?:.*?[\u3400-\u9fff\U00020000-\U0003ffff]){{{LONG_HAN_LINE - 1}}}"
)


def content_digest(example: Example) -> int:
    """The same for equal pictures, and for texts that are equal after folding."""
    return text_digest(example.text) if example.digest is None else example.digest


def known_digests(example: Example) -> tuple[int, ...]:
    """By any of these a row is known again: its own digest, of pairs those of what is seen or heard in them too."""
    return content_digest(example), *(example.both.media if example.both is not None else ())


def text_digest(text: str) -> int:
    """A 64-bit BLAKE2b digest of the text with NFKC, case and white space folded away."""
    return _digest(fold(text))


def split_of(digest: int, share: float, purpose: str) -> bool:
    """True for a ``share`` of all contents, always the same ones for this ``purpose``.

    Equal texts always fall on the same side, so a split by content cannot leak through duplicates.
    """
    return key(digest, purpose) < share * 2.0**64


class Fingerprints:
    """Exact digests and MinHash signatures of many texts: has this text been seen before?

    A text is ``"exact"`` when it, or with ``lines=True`` one of its longer lines (at least 40 characters, or
    15 Han characters), equals a registered text or longer line, after folding. It is ``"near"`` when its
    estimated Jaccard similarity to a registered text is at least 0.8. Texts below 24 characters match only
    exactly.
    """

    def __init__(self, *, lines: bool = True) -> None:
        self._lines = lines
        self._count = 0
        self._digests = KeyIndex()
        self._bands = KeyIndex()
        self._signatures: Signatures = np.zeros((0, PERMUTATIONS), dtype=np.uint16)
        self._signature_count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> None:
        """Register one text; ``add_many`` is far faster for several."""
        self.add_many([text])

    def add_many(self, texts: Iterable[str]) -> None:
        """Register texts."""
        for batch in grouped(texts, _BATCH, len):
            folded = [fold(text) for text in batch]
            digests, _ = self._digests_of(batch, folded)
            self._digests.add(digests, np.zeros(len(digests), dtype=np.int32))
            self.add_signatures(*signatures(folded))
            self._count += len(batch)

    def matches(self, text: str) -> Match | None:
        """How one text matches what is registered."""
        return self.matches_many([text])[0]

    def matches_many(self, texts: Iterable[str]) -> list[Match | None]:
        """How each text matches what is registered."""
        results: list[Match | None] = []
        for batch in grouped(texts, _BATCH, len):
            folded = [fold(text) for text in batch]
            digests, owners = self._digests_of(batch, folded)
            answers = np.zeros(len(batch), dtype=np.int8)
            answers[self.near_pairs(*signatures(folded))[0]] = 1
            answers[owners[self._digests.has(digests)]] = 2
            results.extend(_ANSWERS[answer] for answer in answers)
        return results

    def near_pairs(
        self, new: Signatures, usable: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """All pairs (row of ``new``, number of a registered signature) that are nearly the same."""
        rows = np.flatnonzero(usable)
        found, owners = self._bands.find(_band_keys(new[rows]))
        pairs = np.unique(
            (rows[found // _BANDS] << 32) | owners
        )  # one number a pair sorts far faster than two
        left, right = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
        near = agreement(new[left], self._signatures[right]) >= NEAR_JACCARD
        return left[near], right[near]

    def save(self, path: str | Path) -> None:
        """Write an Arrow file with a digest of its content: aside first, then renamed."""
        path = Path(path)
        parts = [self._digests.keys().tobytes(), self._signatures[: self._signature_count].tobytes()]
        facts = {"format": _FORMAT, "lines": b"01"[self._lines :][:1], "count": str(self._count).encode()}
        facts["digest"] = _checksum(facts, parts)
        schema = pa.schema(
            [("digests", pa.large_binary()), ("signatures", pa.large_binary())], metadata=facts
        )
        aside = path.with_name(f".{path.name}.part")
        with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write(pa.record_batch([pa.array([part], pa.large_binary()) for part in parts], schema))
        aside.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> "Fingerprints":
        """Read what ``save`` wrote; a damaged file is refused."""
        facts, parts = _read_checked(Path(path))
        result = cls(lines=facts["lines"] == b"1")
        result._count = int(facts["count"])
        digests = np.frombuffer(parts[0], dtype=np.uint64)
        result._digests.add(digests, np.zeros(len(digests), dtype=np.int32))
        loaded = np.frombuffer(parts[1], dtype=np.uint16).reshape(-1, PERMUTATIONS)
        result.add_signatures(loaded, np.ones(len(loaded), dtype=np.bool_))
        return result

    def _digests_of(self, texts: Sequence[str], folded: Sequence[str]) -> tuple[Keys, NDArray[np.int64]]:
        """The digests that stand for these texts, and which text each belongs to."""
        digests = [_digest(text) for text in folded]
        owners = list(range(len(texts)))
        if self._lines:
            for number, text in enumerate(texts):
                inner = [_digest(fold(line)) for line in long_lines(text)]
                digests.extend(inner)
                owners.extend([number] * len(inner))
        return np.array(digests, dtype=np.uint64), np.array(owners, dtype=np.int64)

    def add_signatures(self, new: Signatures, usable: NDArray[np.bool_]) -> None:
        """Register signatures without the digests of their texts, for near matches alone."""
        new = new[usable]
        start, stop = self._signature_count, self._signature_count + len(new)
        if stop > len(self._signatures):
            grown = np.zeros((max(stop, 2 * len(self._signatures)), PERMUTATIONS), dtype=np.uint16)
            grown[:start] = self._signatures[:start]
            self._signatures = grown
        self._signatures[start:stop] = new
        self._signature_count = stop
        if len(new):
            self._bands.add(_band_keys(new), np.repeat(np.arange(start, stop, dtype=np.int32), _BANDS))


class Deduplicator:
    """Keeps the first of equal or nearly equal texts in a stream, and says what it left out.

    Only whole texts are compared: two documents that share one line both stay.
    """

    def __init__(self, problems: Problems, *, near: bool = True) -> None:
        self._problems = problems
        self._near = near
        self._seen: set[int] = set()
        self._kept = Fingerprints(lines=False)

    def filter(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples that are new, in their order."""
        for batch in grouped(examples, _BATCH, _size):
            folded = [fold(example.text) for example in batch]
            fresh = self._exactly_new(batch, folded)
            if self._near:
                fresh = self._nearly_new(batch, folded, fresh)
            yield from (batch[number] for number in fresh)

    def _exactly_new(self, batch: Sequence[Example], folded: Sequence[str]) -> list[int]:
        fresh: list[int] = []
        for number, text in enumerate(folded):
            digest = _digest(text)
            if digest in self._seen:
                self._problems.add(batch[number].path, batch[number].row, "exact duplicate")
            else:
                self._seen.add(digest)
                fresh.append(number)
        return fresh

    def _nearly_new(self, batch: Sequence[Example], folded: Sequence[str], fresh: list[int]) -> list[int]:
        new, usable = signatures([folded[number] for number in fresh])
        dropped: set[int] = set(self._kept.near_pairs(new, usable)[0].tolist())
        # Inside the batch a text is dropped only for an earlier one that itself stays.
        here = Fingerprints(lines=False)
        here.add_signatures(new, usable)
        numbers = np.flatnonzero(usable)
        for later, owner in zip(*here.near_pairs(new, usable), strict=True):
            earlier = int(numbers[owner])
            if earlier < later and earlier not in dropped:
                dropped.add(int(later))
        usable[list(dropped)] = False
        self._kept.add_signatures(new, usable)
        for place in sorted(dropped):
            example = batch[fresh[place]]
            self._problems.add(example.path, example.row, "near duplicate")
        return [number for place, number in enumerate(fresh) if place not in dropped]


class HoldOut:
    """Keeps texts that match a held-out set, exactly or nearly, out of a stream, and says which."""

    def __init__(self, held_out: Fingerprints, problems: Problems) -> None:
        self._held_out = held_out
        self._problems = problems

    def filter(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples that match nothing that is held out, in their order."""
        for batch in grouped(examples, _BATCH, _size):
            matches = self._held_out.matches_many([example.text for example in batch])
            for example, match in zip(batch, matches, strict=True):
                if match is None:
                    yield example
                else:
                    how = {"exact": "equals a held-out text", "near": "nearly equals a held-out text"}[match]
                    self._problems.add(example.path, example.row, how)


def long_lines(text: str) -> list[str]:
    """The lines of a text of several lines that are long enough to be recognised alone."""
    if "\n" not in text:
        return []
    return [line for line in text.split("\n") if len(line) >= LONG_LINE or _has_long_han(line)]


def _has_long_han(line: str) -> bool:
    return len(line) >= LONG_HAN_LINE and not line.isascii() and _han.search(line) is not None


def _digest(folded: str) -> int:
    data = folded.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _band_keys(rows: Signatures) -> Keys:
    """Sixteen keys a signature, each told apart by its band: (N, 64) → (N · 16,)."""
    bands = np.ascontiguousarray(rows).view(np.uint64).reshape(-1, _BANDS)
    mixed = (bands ^ np.arange(_BANDS, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(32))).reshape(-1)


def _size(example: Example) -> int:
    return sum(map(len, example.texts))


def _checksum(facts: dict[str, bytes], parts: Sequence[bytes]) -> bytes:
    digest = hashlib.blake2b(b"|".join((facts["format"], facts["lines"], facts["count"])))
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()


def _read_checked(path: Path) -> tuple[dict[str, bytes], list[bytes]]:
    if not path.is_file():
        raise MissingInputError(f"there is no fingerprint file {path}")
    try:
        with pa.OSFile(str(path), "rb") as stream:
            batch = pa.ipc.open_file(stream).get_batch(0)
            facts: dict[str, bytes] = {name.decode(): value for name, value in batch.schema.metadata.items()}
            parts: list[bytes] = [column[0].as_py() for column in batch.columns]
        intact = facts["format"] == _FORMAT and facts["digest"] == _checksum(facts, parts)
    except (pa.ArrowException, OSError, AttributeError, KeyError, IndexError, ValueError) as error:
        raise BadDataError(f"{path} is not a readable fingerprint file ({error}); make it again") from error
    if not intact:
        raise BadDataError(
            f"{path} is damaged: its content does not have the digest it states; make it again"
        )
    return facts, parts
