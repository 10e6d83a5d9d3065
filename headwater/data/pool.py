"""From files and folders to a pool ready for training: kept documents → vocabulary → stores, built once."""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.data.asides import is_whole, made_in_cache
from headwater.data.files import Source, find_sources
from headwater.data.gathering import Gathering, Paths
from headwater.data.mixture import Mixture
from headwater.data.piece_cache import Tokens
from headwater.data.problems import place_of
from headwater.data.readers.sources import refuse_columns_of_plain_text
from headwater.data.splits import Fingerprints, split_of, text_digest
from headwater.data.spool import Spool
from headwater.data.store import Store, cache_folder, store_key, write_store
from headwater.data.token_vectors import kept_token_vectors
from headwater.data.tokenizer import Progress, Tokenizer
from headwater.data.windows import Items, Windows
from headwater.errors import BadDataError

VALIDATION_SHARE = 0.02
_MOST_BYTES_TO_LEARN_FROM = 32 << 20
_DOCUMENTS_A_GROUP = 1024
_FILES = (
    "train.arrow",
    "validation.arrow",
    "fingerprints.arrow",
    "tokenizer.json",
    "places.npy",
    "facts.json",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Everything that unlabelled text gives to training."""

    tokenizer: Tokenizer
    train: Store
    validation: Store
    fingerprints: Fingerprints  # of the train documents
    places: NDArray[np.int64]  # of the train documents: the number of the source, the row; (documents, 2)
    facts: dict[str, Any]  # for data.json

    def windows(self, length: int) -> Items:
        """The train documents in windows; the paths mixed by their weights where the user gave some."""
        weights, counts = self.facts["weights"], self.facts["documents_of_paths"]
        if weights is None:
            return Windows(self.train, length)
        borders = pairwise([0, *accumulate(counts)])
        parts = [Windows(self.train, length, documents=range(*border)) for border in borders]
        return Mixture(parts, weights)

    def place(self, document: int) -> str:
        """Where a train document stands in the user's files."""
        source, row = self.places[document].tolist()
        return place_of(self.facts["sources"][source]["path"], row)

    def token_vectors(self, width: int, *, check: Callable[[], None] | None = None) -> NDArray[np.float32]:
        """What counting says of each token's company: (V, width); kept beside the train documents."""
        folder = self.train.path.parent
        return kept_token_vectors(folder, self.train, self.tokenizer.size, width, check=check)


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom to tell how far the work is, and whom to ask whether to go on; ``check`` raises to stop."""

    progress: Progress | None = None
    check: Callable[[], None] | None = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if self.check is not None:
            self.check()
        if self.progress is not None:
            self.progress(stage, done, total)


def build_pool(
    paths: Sequence[str | Path],
    *,
    text: Sequence[str] | None = None,
    hold_out: Sequence[str | Path] = (),
    keep_duplicates: bool = False,
    weights: Sequence[float] | None = None,
    vocabulary_size: int | None = None,
    tokenizer: Tokenizer | None = None,
    validation_share: float = VALIDATION_SHARE,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> Pool:
    """Read, hold out, deduplicate, split, learn the vocabulary, encode; or find all of it in the cache.

    Documents equal or nearly equal to a text behind ``hold_out``, to a validation text or to an earlier document
    are left out and counted; with ``keep_duplicates``, as records of events need it, repetitions stay. Files named
    as validation parts judge; without one, a ``validation_share`` of the documents does, chosen by ``seed`` and
    content. A given ``tokenizer`` is used as it is. The key of the cache covers every file's content and every choice
    made here, so a second call reads only the files' bytes, wherever they lie and whatever they are called.

    Raises BadDataError when nothing is left, and what ``check`` raises.
    """
    found = Paths.sort(paths, weights)
    refuse_columns_of_plain_text(found.sources, text)
    key = store_key(
        files=_without_names(found.sources),
        parts=found.parts,
        hold_out=_without_names(find_sources(hold_out)) if hold_out else [],
        text=text,
        weights=found.weights,
        vocabulary=vocabulary_size if tokenizer is None else tokenizer.digest,
        validation=(validation_share, seed),
        **({"duplicates": "kept"} if keep_duplicates else {}),
        **({"held out": "as read otherwise too"} if hold_out else {}),
    )
    folder = _place(key, cache)
    if not is_whole(folder, _FILES):
        gathering, split = Gathering(found, text, hold_out, keep_duplicates), (validation_share, seed)
        build = _Build(gathering, tokenizer, vocabulary_size, split, Watch(progress, check))
        build.into(folder, key)
    pool = _open(folder)
    return replace(pool, facts=found.renamed(pool.facts, hold_out))


def _without_names(sources: Sequence[Source]) -> list[list[Any]]:
    """What is read of these sources, in their order and wherever they lie: content, and what the names say of it.

    Files of one folder are understood alike, so folders are told apart, by number.
    """
    folders: dict[PurePosixPath, int] = {}
    return [
        [
            folders.setdefault(PurePosixPath(source.path).parent, len(folders)),
            source.kind,
            source.split,
            source.suffix,
            source.compression,
            source.languages,
            source.named,
            source.digest,
            *filter(None, [source.split_column, source.foreign_encoding]),
        ]
        for source in sources
    ]


def kept_pool(key: str, cache: str | Path | None = None) -> Pool | None:
    """The pool of that key, where the cache still has it."""
    folder = _place(key, cache)
    return _open(folder) if is_whole(folder, _FILES) else None


def _place(key: str, cache: str | Path | None) -> Path:
    return (cache_folder() if cache is None else Path(cache)) / "pools" / key


def vocabulary_size_for(corpus_bytes: int) -> int:
    """4,096 tokens below 4 MB, then twice as many for every eightfold corpus, up to 32,768."""
    steps = ((4_096, 4e6), (8_192, 32e6), (16_384, 256e6))
    return next((size for size, most in steps if corpus_bytes < most), 32_768)


def _open(folder: Path) -> Pool:
    return Pool(
        tokenizer=Tokenizer.load(folder / "tokenizer.json"),
        train=Store.open(folder / "train.arrow"),
        validation=Store.open(folder / "validation.arrow"),
        fingerprints=Fingerprints.load(folder / "fingerprints.arrow"),
        places=np.load(folder / "places.npy", mmap_mode="r"),
        facts=json.loads((folder / "facts.json").read_text(encoding="utf-8")),
    )


@dataclass(slots=True)
class _Build:
    """One pool in the making, in a folder aside that is renamed when it is whole."""

    gathering: Gathering
    tokenizer: Tokenizer | None
    vocabulary_size: int | None
    split: tuple[float, int]  # share and seed
    watch: Watch
    documents_of_paths: Counter[int] = field(default_factory=Counter[int])
    places: "array[int]" = field(default_factory=lambda: array("q"))

    def into(self, folder: Path, key: str) -> None:
        """Build everything and put it where the key says."""
        with made_in_cache(folder, _FILES, "the pool cannot be built") as aside:
            self._write(aside, key)

    def _write(self, folder: Path, key: str) -> None:
        with Spool(folder / "train.texts") as train, Spool(folder / "validation.texts") as validation:
            self._gather(train, validation)
            np.save(folder / "places.npy", np.frombuffer(self.places, np.int64).reshape(-1, 2))
            tokenizer = self.tokenizer or self._learn(train)
            tokenizer.save(folder / "tokenizer.json")
            train_store = self._encode(tokenizer, train, folder / "train.arrow")
            validation_store = self._encode(tokenizer, validation, folder / "validation.arrow")
            self._fingerprint(train).save(folder / "fingerprints.arrow")
            facts = {
                "key": key,
                **_sizes(train, train_store),
                "validation": {**_sizes(validation, validation_store), "how": self._how_split()},
                "vocabulary": {"size": tokenizer.size, "digest": tokenizer.digest},
                **self._by_path(),
                **self.gathering.facts(),
            }
        (folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    def _gather(self, train: Spool, validation: Spool) -> None:
        for example in self.gathering.validation():
            validation.add(example.text)
        named = len(validation) > 0
        number = {source.path: place for place, source in enumerate(self.gathering.paths.sources)}
        share, seed = self.split
        for count, example in enumerate(self.gathering.train(list(validation.texts()))):
            if count % _DOCUMENTS_A_GROUP == 0:
                self.watch("reading", count, None)
            # The first document always trains, so that no pool is empty by chance.
            if count and not named and split_of(text_digest(example.text), share, f"validation {seed}"):
                validation.add(example.text)
            else:
                train.add(example.text)
                self.places.extend((number[example.path], example.row))
                self.documents_of_paths[self.gathering.paths.owner[example.path]] += 1
        if not len(train):
            raise BadDataError(f"no document is left to learn from: {self.gathering.problems.summary()}")

    def _learn(self, train: Spool) -> Tokenizer:
        size = self.vocabulary_size or vocabulary_size_for(train.bytes)
        # A vocabulary of this size is settled long before; every few documents keep the proportions.
        step = -(-train.bytes // _MOST_BYTES_TO_LEARN_FROM)
        return Tokenizer.learn(train.texts(step), size, self.watch)

    def _encode(self, tokenizer: Tokenizer, spool: Spool, path: Path) -> Store:
        def arrays() -> Iterator[Tokens]:
            done = 0
            for group in spool.groups(_DOCUMENTS_A_GROUP):
                yield from tokenizer.encode_batch(group)
                done += len(group)
                self.watch(f"encoding the {spool.path.stem} documents", done, len(spool))

        return write_store(path, arrays(), spool.digests)

    def _fingerprint(self, train: Spool) -> Fingerprints:
        fingerprints = Fingerprints()
        done = 0
        for group in train.groups(_DOCUMENTS_A_GROUP):
            fingerprints.add_many(group)
            done += len(group)
            self.watch("keeping fingerprints", done, len(train))
        return fingerprints

    def _by_path(self) -> dict[str, Any]:
        paths = self.gathering.paths
        counts = [self.documents_of_paths[number] for number in range(len(paths.train))]
        return {
            "weights": paths.weights,
            "documents_of_paths": counts,
        }

    def _how_split(self) -> str:
        if self.gathering.paths.validation:
            return "files named as validation parts"
        return f"{self.split[0]:.1%} of the documents, by content"


def _sizes(spool: Spool, store: Store) -> dict[str, int]:
    return {"documents": len(spool), "bytes": spool.bytes, "tokens": len(store.tokens)}
