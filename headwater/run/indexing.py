"""A corpus by its vectors: read, cut into windows and embedded once for each content and model, then kept."""

import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.data.asides import is_whole, made_in_cache
from headwater.data.document_store import DocumentStore
from headwater.data.examples import Example
from headwater.data.files import Source, find_sources
from headwater.data.grouping import grouped
from headwater.data.kinds import PathLike
from headwater.data.problems import Problems
from headwater.data.readers import read_documents
from headwater.data.readers.sources import refuse_columns_of_plain_text
from headwater.data.store import cache_folder, store_key
from headwater.data.vector_store import VectorStore, VectorWriter
from headwater.run.labelled import left_out
from headwater.run.reading import Reader
from headwater.training.progress import Progress

FORMAT = 1
_DOCUMENTS, _VECTORS, _FACTS = "documents.arrow", "vectors.arrow", "facts.json"
_FILES = (_DOCUMENTS, _VECTORS, _FACTS)
_DOCUMENTS_A_GROUP = 256
Corpus = PathLike | Sequence[PathLike]


@dataclass(frozen=True, slots=True)
class Index:
    """The distinct documents of a corpus, and the vectors of their windows."""

    documents: DocumentStore
    vectors: VectorStore


@dataclass(frozen=True, slots=True)
class Indexing:
    """Makes the index of a corpus by one model (``model``: the digest of its weights and vocabulary), or finds it."""

    reader: Reader
    model: str
    progress: Progress

    def of(self, corpus: Corpus, *, text: Sequence[str] | None) -> Index:
        """The index: from the cache where neither the files nor the model have changed, else made now.

        ``text`` names the text columns of tables. Which of both it was, and what could not be read, is said.
        """
        sources = find_sources(corpus)
        refuse_columns_of_plain_text(sources, text)
        folder = cache_folder() / "indexes" / self._key(sources, text)
        kept = is_whole(folder, _FILES)
        if kept and (damage := _damage(folder)):
            self.progress.say(f"{damage}: the vectors of this corpus are made again")
            shutil.rmtree(folder)
            kept = False
        if not kept:
            self._make(folder, corpus, text)
        self._tell(json.loads((folder / _FACTS).read_text(encoding="utf-8")), kept)
        return Index(DocumentStore.open(folder / _DOCUMENTS), VectorStore(folder / _VECTORS))

    def _key(self, sources: Sequence[Source], text: Sequence[str] | None) -> str:
        files = [(source.path, source.kind, source.digest) for source in sources]
        return store_key(index=FORMAT, files=files, text=text, model=self.model, length=self.reader.length)

    def _make(self, folder: Path, corpus: Corpus, text: Sequence[str] | None) -> None:
        problems = Problems()
        with made_in_cache(folder, _FILES, "the vectors of this corpus cannot be kept") as aside:
            read = read_documents(corpus, text=text, problems=problems, splits=None)
            documents = DocumentStore.write(aside / _DOCUMENTS, self._watched(read), problems)
            facts: dict[str, Any] = {
                "documents": len(documents),
                "windows": self._embed(documents, aside / _VECTORS),
                "left_out": left_out(problems),
                "checksums": {name: _checksum(aside / name) for name in (_DOCUMENTS, _VECTORS)},
            }
            (aside / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    def _watched(self, examples: Iterator[Example]) -> Iterator[Example]:
        self.progress.stage("reading the corpus")
        for count, example in enumerate(examples, 1):
            self.progress.update(count)
            yield example

    def _embed(self, documents: DocumentStore, path: Path) -> int:
        """Write the vectors of all documents; how many windows there are."""
        self.progress.stage("embedding the corpus", len(documents))
        done = windows = 0
        with VectorWriter(path, self.reader.model.backbone.width) as writer:
            for texts in grouped(documents.texts(), _DOCUMENTS_A_GROUP, len):
                block = self.reader.windows(texts, first=done)
                writer.add(block)
                done, windows = done + len(texts), windows + len(block.documents)
                self.progress.update(done)
        return windows

    def _tell(self, facts: dict[str, Any], kept: bool) -> None:
        self.progress.close()
        size = f"{facts['documents']:,} documents in {facts['windows']:,} windows"
        self.progress.say(
            f"{size}: their vectors come from the cache" if kept else f"{size}: embedded, and kept"
        )
        for line in facts["left_out"]:
            self.progress.say(line)


def _damage(folder: Path) -> str | None:
    """What is wrong with the files of an index, if anything is."""
    try:
        checksums = json.loads((folder / _FACTS).read_text(encoding="utf-8"))["checksums"]
    except (ValueError, KeyError):
        return f"{folder / _FACTS} cannot be read"
    changed = [name for name in (_DOCUMENTS, _VECTORS) if checksums.get(name) != _checksum(folder / name)]
    return f"{folder / changed[0]} is not what was written" if changed else None


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            checksum = zlib.crc32(part, checksum)
    return checksum
