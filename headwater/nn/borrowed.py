"""What one part of a model uses and another part owns."""

from typing import Any

from torch import nn


class Borrowed(nn.Module):
    """A module that belongs elsewhere: used here; learnt, counted and written where it belongs.

    T5's blocks read the relative biases of the first of them; a decoder looks its tokens up in the encoder's table.
    """

    def __init__(self, owned: nn.Module) -> None:
        super().__init__()
        # In a tuple, nn.Module does not see it: a second registered name would be a second tensor in state_dict.
        # A deep copy of the whole model still carries the reference over to the copy.
        self._owned = (owned,)

    def forward(self, *inputs: Any) -> Any:
        return self._owned[0](*inputs)
