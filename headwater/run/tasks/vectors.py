"""What tasks have in common that train the vectors of a model and add nothing to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self

from headwater.errors import SettingsError
from headwater.models import EncoderDecoderSettings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.task import S, Task


@dataclass(frozen=True)
class VectorTask(Task[S], Generic[S]):
    """Trains the mean of the hidden states, which ``embed`` gives and ``search`` looks through, and nothing else."""

    head: ClassVar[None] = None
    needs: ClassVar = "both"

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """Nothing is kept but the name."""
        return cls(str(card["task"]))

    @property
    def card(self) -> dict[str, Any]:
        """How a vector is made."""
        return {"pooling": "mean"}

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """Only a model that reads both sides of everything."""
        settings = start.settings
        if isinstance(settings, EncoderDecoderSettings) or getattr(settings, "causal", False):
            raise SettingsError(
                f"{path} has no encoder: it reads what comes before and not what comes after, and {self.name} needs "
                "both; pre-train with another --objective (masked_tokens of texts, masked_autoencoding of pictures), "
                "or start from 'scratch'"
            )
        return self
