"""What may be added to the scores, as a function of positions."""

from typing import Protocol

from torch import Tensor


class PositionBias(Protocol):
    """A number added to the score of a query and a key, known from the head and the two positions alone.

    The three integer tensors broadcast against each other; the result has their common shape. Implementations
    are modules with parameters (``RelativeBuckets``) or frozen values (``LinearBias``).
    """

    def __call__(self, head: Tensor, query_position: Tensor, key_position: Tensor, /) -> Tensor: ...
