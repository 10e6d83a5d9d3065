"""One learnt vector per position."""

from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.sequence import SequenceLayout


class LearnedPositions(nn.Module):
    """One learnt vector per position, (B, T, C), for positions below ``capacity``.

    ``start`` is the row of the first position: 2 where the rows 0 and 1 were once kept for special tokens and are
    read by nobody (fairseq, BART). Gehring et al. 2017, section 3.1, arXiv:1705.03122.
    """

    def __init__(self, capacity: int, width: int, *, start: int = 0) -> None:
        super().__init__()
        self.capacity, self.start = capacity, start
        self.table = nn.Embedding(start + capacity, width)

    def forward(self, layout: SequenceLayout) -> Tensor:
        length = layout.positions.shape[1]
        if length > self.capacity:
            raise SettingsError(
                f"a row of {length} tokens is longer than the {self.capacity} learnt positions; "
                "cut the input, or build the model with more positions"
            )
        return self.table(layout.positions + self.start)
