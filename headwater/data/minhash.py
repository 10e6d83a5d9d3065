"""MinHash signatures of many texts at once: how alike two texts are, from 128 bytes each.

A shingle starts at every character of the folded text: three characters where the first belongs to an
unspaced script (Han, kana and their neighbours), five elsewhere. Each of 64 permutations keeps its smallest
shingle hash; the share of permutations on which two texts agree estimates the Jaccard similarity of their
shingle sets (Broder 1997, doi:10.1109/SEQUEN.1997.666900). Only the low 16 bits of each minimum are stored
(b-bit minwise hashing, Li and Koenig 2010, doi:10.1145/1772690.1772759).

Shape letters: N texts, M permutations (64), S shingles.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 64
FEWEST_SHINGLES = 24
"""Below this a text has no signature: one changed character would already make it another text."""

_LONGEST_SHINGLE = 5
_CHUNK_CHARACTERS = 1 << 16  # the permuted hashes of one chunk stay in the second-level cache
_UNSPACED = ((0x2E80, 0xA4CF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF), (0x0E00, 0x0EFF))  # CJK, Thai and Lao
# NFKC is slow once one character needs it, and these few stand in nearly every Chinese sentence.
_FULL_WIDTH = [(chr(code + 0xFEE0), chr(code)) for code in b",!?:;()"]

Signatures = NDArray[np.uint16]  # (N, M)
_multipliers = np.random.Generator(np.random.PCG64(0x48656164)).integers(
    0, 1 << 32, (2, PERMUTATIONS), dtype=np.uint32
)
_MULTIPLY, _ADD = _multipliers[0] | np.uint32(1), _multipliers[1]


def fold(text: str) -> str:
    """The text as duplicates are judged by it: NFKC, case folded, runs of white space one blank."""
    if not text.isascii():
        for wide, narrow in _FULL_WIDTH:
            text = text.replace(wide, narrow)
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def signatures(folded: Sequence[str]) -> tuple[Signatures, NDArray[np.bool_]]:
    """Signatures (N, 64) of folded texts, and which of them are long enough to have one (N,)."""
    lengths = np.fromiter((len(text) for text in folded), dtype=np.int64, count=len(folded))
    long_enough = lengths >= FEWEST_SHINGLES
    result: Signatures = np.zeros((len(folded), PERMUTATIONS), dtype=np.uint16)
    rows = np.flatnonzero(long_enough)
    if not len(rows):
        return result, long_enough
    # Cut the batch where the running total of characters passes the next multiple of the chunk.
    chunk_of = np.cumsum(lengths[rows]) // _CHUNK_CHARACTERS
    for chunk in np.split(rows, np.flatnonzero(np.diff(chunk_of)) + 1):
        result[chunk] = _signatures_of_chunk([folded[int(row)] for row in chunk], lengths[chunk])
    return result, long_enough


def agreement(left: Signatures, right: Signatures) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of pairs of signatures: (pairs, 64), (pairs, 64) → (pairs,)."""
    return (left == right).mean(axis=1)


def _signatures_of_chunk(texts: Sequence[str], lengths: NDArray[np.int64]) -> Signatures:
    hashes = _shingle_hashes(texts)  # (S,)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    smallest = np.empty((PERMUTATIONS, len(texts)), dtype=np.uint32)
    permuted = np.empty_like(hashes)
    for number in range(PERMUTATIONS):
        np.multiply(hashes, _MULTIPLY[number], out=permuted)
        np.add(permuted, _ADD[number], out=permuted)
        np.minimum.reduceat(permuted, starts, out=smallest[number])
    # The low bits: the high bits of a minimum over many shingles are all zero and would agree by chance.
    return smallest.T.astype(np.uint16)


def _shingle_hashes(texts: Sequence[str]) -> NDArray[np.uint32]:
    """One hash for every character of every text; the last shingles of a text reach into its end marks."""
    joined = "".join(text + "\0" * _LONGEST_SHINGLE for text in (text.replace("\0", " ") for text in texts))
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    three = _polynomial(codes, 3)[: len(codes) - _LONGEST_SHINGLE + 1]
    five = _polynomial(codes, _LONGEST_SHINGLE)
    firsts = codes[: len(five)]
    hashes = np.where(_is_unspaced(firsts), three, five)[firsts != 0]
    hashes ^= hashes >> np.uint32(16)  # the finaliser of MurmurHash3 (Appleby, public domain)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    return hashes


def _polynomial(codes: NDArray[np.uint32], size: int) -> NDArray[np.uint32]:
    count = len(codes) - size + 1
    total = np.full(count, size, dtype=np.uint32)
    for offset in range(size):
        total *= np.uint32(0x9E3779B1)
        total += codes[offset : offset + count]
    return total


def _is_unspaced(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    inside = np.zeros(len(codes), dtype=np.bool_)
    for low, high in _UNSPACED:
        inside |= (codes >= low) & (codes <= high)
    return inside
