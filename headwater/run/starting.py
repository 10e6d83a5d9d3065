"""What training starts from: a kind of backbone and a vocabulary, with weights learnt before or without."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.errors import MissingInputError
from headwater.models import (
    BackboneSettings,
    EncoderDecoderSettings,
    Model,
    TransformerSettings,
    build_model,
    load_bundle,
)

DEFAULT_LENGTH = 256


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Settings and tokenizer, and the backbone's weights where another run learnt them (``weights``)."""

    settings: BackboneSettings
    tokenizer: Tokenizer
    card: Mapping[str, Any]
    weights: Mapping[str, Tensor] | None = None

    @classmethod
    def of_run(cls, path: str | Path) -> "StartingPoint":
        """The shipped model of a run, or a model folder."""
        folder = model_folder(Path(path))
        bundle = load_bundle(folder)
        weights = {name: tensor.detach() for name, tensor in bundle.model.backbone.state_dict().items()}
        return cls(bundle.settings, Tokenizer.load(bundle.tokenizer_path), bundle.card, weights)

    @property
    def digest(self) -> str:
        """What a model that starts here depends on: its shape, its vocabulary, its weights."""
        found = hashlib.blake2b(digest_size=16)
        found.update(f"{type(self.settings).__name__}{self.settings}{self.tokenizer.digest}".encode())
        for name, tensor in sorted((self.weights or {}).items()):
            found.update(name.encode())
            found.update(tensor.contiguous().cpu().numpy().tobytes())
        return found.hexdigest()

    @property
    def size(self) -> str:
        """The name of the model's size, as the run that made it knew it."""
        return str(self.card.get("size", "tiny"))

    @property
    def length(self) -> int:
        """Tokens of a text that the model was trained to read."""
        return int(self.card.get("length") or DEFAULT_LENGTH)

    def without_weights(self) -> "StartingPoint":
        """The same architecture and vocabulary with nothing learnt: the scratch arm."""
        return StartingPoint(self.settings, self.tokenizer, self.card)

    def having(self, settings: BackboneSettings) -> "StartingPoint":
        """Another kind of backbone over the same vocabulary, with nothing learnt."""
        return StartingPoint(settings, self.tokenizer, self.card)

    def with_dropout(self, share: float) -> "StartingPoint":
        """The same start of a Transformer that drops a share of every update and of the embeddings as it learns."""
        return replace(self, settings=_with_dropout(self.settings, share))

    def model(self, head: str | None, *, seed: int, **options: Any) -> Model:
        """A model with a fresh head, or none; the seed decides every weight that was not learnt before."""
        model = build_model(self.settings, head=head, seed=seed, **options)
        if self.weights is not None:
            model.backbone.load_state_dict(dict(self.weights))
        return model


def _with_dropout(settings: BackboneSettings, share: float) -> BackboneSettings:
    match settings:
        case TransformerSettings():
            return replace(settings, residual_dropout=share, embedding_dropout=share)
        case EncoderDecoderSettings():
            halves = (
                replace(half, residual_dropout=share, embedding_dropout=share)
                for half in (settings.encoder, settings.decoder)
            )
            return EncoderDecoderSettings.of(*halves)
        case _:
            return settings


def model_folder(path: Path) -> Path:
    """The model folder that a path names: a run's ``model/``, or the folder itself."""
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    unfinished = (path / "settings.toml").is_file()
    remedy = (
        f"finish it first: headwater resume {path}" if unfinished else "name a run folder or a model folder"
    )
    raise MissingInputError(f"there is no model in {path}: no config.json in it or in its model/; {remedy}")
