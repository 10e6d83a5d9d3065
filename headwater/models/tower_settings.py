"""What is decided about two towers: one stack for each side of a pair, and the space that they share."""

from dataclasses import dataclass
from typing import Any, Self

from headwater.errors import SettingsError
from headwater.models.checks import check_choice, check_counts
from headwater.models.settings import BackboneSettings, TransformerSettings
from headwater.nn.pooling import POOLING_KINDS, PoolingKind


@dataclass(frozen=True, kw_only=True)
class TwoTowerSettings(BackboneSettings):
    """Two Transformers whose pooled states are mapped to vectors of ``joint_width`` numbers.

    ``depth`` counts the blocks of both, ``vocabulary_size`` is that of the side that reads text (0 where none does).
    """

    first: TransformerSettings
    second: TransformerSettings
    joint_width: int
    first_pooling: PoolingKind = "mean"
    second_pooling: PoolingKind = "mean"

    @classmethod
    def of(
        cls,
        first: TransformerSettings,
        second: TransformerSettings,
        *,
        joint_width: int,
        first_pooling: PoolingKind = "mean",
        second_pooling: PoolingKind = "mean",
    ) -> Self:
        """The pair of towers."""
        text = next((side for side in (first, second) if side.patches is None), None)
        return cls(
            vocabulary_size=0 if text is None else text.vocabulary_size,
            pad_token=None if text is None else text.pad_token,
            width=first.width,
            depth=first.depth + second.depth,
            first=first,
            second=second,
            joint_width=joint_width,
            first_pooling=first_pooling,
            second_pooling=second_pooling,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("joint_width",))
        for name in ("first_pooling", "second_pooling"):
            check_choice(self, name, POOLING_KINDS)
            if getattr(self, name) == "first_and_mean":
                raise SettingsError(
                    f"{name} = 'first_and_mean' is a classifier's; choose first, last or mean"
                )

    @property
    def sides(self) -> tuple[TransformerSettings, TransformerSettings]:
        """Both stacks."""
        return self.first, self.second

    def _check_vocabulary(self) -> None:
        if self.patches is not None:
            raise SettingsError("patches belong to one side of two towers: set those of first or second")
        if self.vocabulary_size:
            super()._check_vocabulary()
        texts = [side for side in self.sides if side.patches is None]
        if len(texts) > 1:
            raise SettingsError("both sides read text; two texts are compared by one model: --task retrieval")

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, the two towers as tables of their own."""
        return {**super().to_dict(), "first": self.first.to_dict(), "second": self.second.to_dict()}
