"""Which keys a query may read, in positions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.errors import SettingsError


@dataclass(frozen=True, slots=True)
class AttentionMask:
    """Which keys a query may read inside its document, in positions, never in row numbers.

    ``causal`` hides every key whose position is after the query's. ``window`` counts the query's own
    position: a key is read when |query position - key position| < window (so ModernBERT's "local 128" is
    ``window=65``).
    """

    causal: bool = False
    window: int | None = None

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise SettingsError(
                f"window={self.window} lets a query read nothing; it counts the query's own position, "
                "so give 1 or more, or None for no window"
            )

    def allows(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        """True where the query may read the key; the two position tensors broadcast against each other."""
        distance = query_positions - key_positions
        if self.window is None:
            return distance >= 0 if self.causal else torch.ones_like(distance, dtype=torch.bool)
        near = distance < self.window
        return near & (distance >= 0 if self.causal else distance > -self.window)
