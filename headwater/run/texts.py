"""Texts as a pre-training run learns from them: a pool of documents with its vocabulary."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from headwater.data.batches import TokenBatches
from headwater.data.kinds import Learnt
from headwater.data.mixture import Mixture
from headwater.data.pool import Pool, build_pool
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.errors import BadDataError, SettingsError
from headwater.models import Model
from headwater.nn.initialization import begin_with_company
from headwater.run.choosing_model import pretraining_model
from headwater.run.choosing_objective import Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut
from headwater.run.matter import left_out_of, mixed_in_words
from headwater.run.probing import Probe
from headwater.run.seen import TEXTS
from headwater.run.settings import RunSettings, TrainingSettings
from headwater.run.shipping import Parent
from headwater.training.plan import Learner
from headwater.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Texts:
    """Documents to learn from and documents to judge on, as tokens."""

    pool: Pool

    @classmethod
    def gather(
        cls,
        settings: RunSettings,
        modality: Learnt,
        parent: Parent | None,
        progress: Progress,
        check: Callable[[], None],
    ) -> "Texts":
        """Build the pool, or find it in the cache; a run that goes on keeps its parent's vocabulary."""
        del modality
        data = settings.data
        return cls(
            build_pool(
                data.paths,
                text=data.text,
                hold_out=data.hold_out,
                keep_duplicates=data.keep_duplicates,
                weights=data.weights,
                vocabulary_size=settings.model.vocabulary_size,
                tokenizer=parent.tokenizer if parent else None,
                seed=settings.training.seed,
                cache=data.cache,
                progress=progress.report,
                check=check,
            )
        )

    @property
    def sequencer(self) -> Tokenizer:
        """The vocabulary."""
        return self.pool.tokenizer

    def write(self, folder: RunFolder) -> None:
        """``data.json`` and the fingerprints of the documents."""
        folder.write_data(self.pool.facts)
        self.pool.fingerprints.save(folder.path / TEXTS)

    def told(self, settings: RunSettings) -> str:
        """How many documents, and how often those of each path are read where the user weighed the paths."""
        facts = self.pool.facts
        return (
            f"{facts['documents']:,} documents ({facts['bytes'] / 1e6:,.1f} MB) to learn from, "
            f"{facts['validation']['documents']:,} to judge on{left_out_of(facts)}{self._rounds(settings.training)}"
        )

    def _rounds(self, training: TrainingSettings) -> str:
        assert training.length is not None
        assert training.batch_tokens is not None
        assert training.steps is not None
        mixture = self.pool.windows(training.length)
        if not isinstance(mixture, Mixture):
            return ""
        rounds = mixture.rounds(training.steps * training.batch_tokens)
        counts, paths = self.pool.facts["documents_of_paths"], self.pool.facts["train_paths"]
        return mixed_in_words(paths, counts, rounds, "documents")

    def derived(self, settings: RunSettings) -> RunSettings:
        """Nothing follows from texts."""
        return settings

    def portion(self, settings: RunSettings) -> str:
        """Tokens, and how long windows are."""
        training = settings.training
        return f"{training.batch_tokens:,} tokens, windows of {training.length}"

    def model(self, settings: RunSettings, pretext: Pretext) -> Model:
        """A backbone over the vocabulary, with the head that the pretext task trains."""
        length, seed = settings.training.length, settings.training.seed
        return pretraining_model(settings.model, self.pool.tokenizer, pretext, length=length, seed=seed)

    def begin(self, model: Model, settings: RunSettings, check: Callable[[], None]) -> None:
        """Token vectors that know which tokens keep company."""
        if settings.model.token_vectors != "counted":
            return
        table = model.backbone.token_embedding.weight
        vectors = self.pool.token_vectors(table.shape[1] - 1, check=check)
        begin_with_company(table, torch.from_numpy(vectors))
        model.begin_outputs_as_tables()

    def batches(self, settings: RunSettings, pretext: Pretext) -> TokenBatches:
        """Batches of windows."""
        training = settings.training
        assert training.length is not None
        assert training.batch_tokens is not None
        return TokenBatches(
            self.pool.windows(training.length),
            self.pool.tokenizer,
            tokens_per_batch=training.batch_tokens // (training.micro_batches or 1),
            seed=training.seed,
            packed=training.packed,
            length_grouping=training.length_grouping,
            open_ends=pretext.needs == "past",
        )

    def judged(self, settings: RunSettings, pretext: Pretext) -> TokenBatches | None:
        """Windows of the documents that were held out."""
        training = settings.training
        assert training.length is not None
        windows = Windows(self.pool.validation, training.length)
        if not len(windows):
            if settings.data.probe is not None:
                raise BadDataError(
                    f"the probe on {settings.data.probe} goes with evaluations on held-out text, and of "
                    f"{len(self.pool.train):,} document(s) none was held out; give more documents, or leave --probe out"
                )
            return None
        return TokenBatches(
            windows,
            self.pool.tokenizer,
            tokens_per_batch=min(training.batch_tokens or 4096, 8192),
            seed=0,
            open_ends=pretext.needs == "past",
        )

    def probe(self, settings: RunSettings, device: torch.device) -> Probe | None:
        """A linear probe on labelled texts."""
        return Probe.of(settings, self.pool.tokenizer, device)

    def mean_length(self, settings: RunSettings) -> int:
        """Tokens of a usual window."""
        assert settings.training.length is not None
        return round(float(self.pool.windows(settings.training.length).lengths.mean()))

    def place(self, example: int) -> str:
        """Where a document stands."""
        return self.pool.place(example)

    def sample(self) -> Tensor:
        """Texts are no numbers."""
        raise SettingsError("texts have words, not patches; choose an --objective for texts")

    def look(self, learner: Learner, held_out: HeldOut, reports: Path) -> None:
        """Texts are read, not looked at."""
        del learner, held_out, reports
