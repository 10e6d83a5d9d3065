"""The keys and values of tokens already read, so that generation computes each only once.

Shape letters: B batch, T new tokens, S tokens held, K key-value heads, D head dim.
"""

import torch
from torch import Tensor

from headwater.errors import UsageError
from headwater.nn.shared_layout import derive
from headwater.sequence import PADDING, SequenceLayout


class KeyValueCache:
    """Keys and values of one attention layer, in memory allocated once for ``capacity`` tokens a row.

    Every held token keeps its document and position, so prompts of different lengths, chunks and single
    tokens may be appended in any division: what a query reads is decided by the mask, never by where a token
    is stored. The caches of a stack that are told of the same tokens share one ``company``: within a forward pass they
    give one and the same layout, so that its mask is made once.
    """

    def __init__(
        self,
        batch: int,
        capacity: int,
        num_key_value_heads: int,
        head_dim: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        company: object | None = None,
    ) -> None:
        shape = (batch, capacity, num_key_value_heads, head_dim)
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros_like(self._keys)
        self._documents = torch.full((batch, capacity), PADDING, device=device)
        self._positions = torch.zeros_like(self._documents)
        self._company = self if company is None else company
        self._spare: tuple[Tensor, Tensor] | None = None  # what rows are moved into
        self.length = 0

    @property
    def capacity(self) -> int:
        """Tokens a row can hold."""
        return self._keys.shape[1]

    def append(
        self, key: Tensor, value: Tensor, layout: SequenceLayout
    ) -> tuple[Tensor, Tensor, SequenceLayout]:
        """Hold these tokens too; gives all keys and values (B, S, K, D) held now, and their layout."""
        self._check(key)
        start, end = self.length, self.length + key.shape[1]
        self._keys[:, start:end] = key
        self._values[:, start:end] = value
        self._documents[:, start:end] = layout.documents
        self._positions[:, start:end] = layout.positions
        self.length = end
        if start == 0:  # the first tokens are all there is: their own layout keeps its promises
            return key, value, layout
        return self.held(layout)

    def held(self, asked_by: SequenceLayout) -> tuple[Tensor, Tensor, SequenceLayout]:
        """All keys and values held, (B, S, K, D), and their layout, for queries that stand as ``asked_by`` says."""
        end = self.length
        layout = derive(
            asked_by,
            ("tokens held", end),
            lambda: SequenceLayout(self._documents[:, :end], self._positions[:, :end]),
            partner=self._company,
        )
        return self._keys[:, :end], self._values[:, :end], layout

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; beam search drops and doubles rows."""
        self._documents, self._positions = (
            tensor.index_select(0, rows) for tensor in (self._documents, self._positions)
        )
        held, room = (self._keys, self._values), self._room_for(len(rows))
        for old, new in zip(held, room, strict=True):  # where nothing is written yet there is nothing to move
            torch.index_select(old[:, : self.length], 0, rows, out=new[:, : self.length])
        (self._keys, self._values), self._spare = room, held

    def _room_for(self, rows: int) -> tuple[Tensor, Tensor]:
        spare = self._spare
        if spare is None or len(spare[0]) < rows or spare[0].shape[1:] != self._keys.shape[1:]:
            # Zeros, not whatever memory holds: it could be NaN, and 0 · NaN is NaN.
            spare = tuple(self._keys.new_zeros(rows, *self._keys.shape[1:]) for _ in range(2))
        return spare[0][:rows], spare[1][:rows]

    def admit(self, other: "KeyValueCache", *, room: int) -> None:
        """Take over the rows of another cache, behind the own ones, and make room for so many more tokens a row.

        Padding between the tokens of a row is closed up.
        """
        self._close_up()
        other._close_up()
        self.length = max(self.length, other.length)
        capacity = self.length + room
        self._keys, self._values, self._documents, self._positions = (
            torch.cat((_resized(mine, capacity, empty), _resized(theirs, capacity, empty)))
            for mine, theirs, empty in (
                (self._keys, other._keys, 0),
                (self._values, other._values, 0),
                (self._documents, other._documents, PADDING),
                (self._positions, other._positions, 0),
            )
        )

    def _close_up(self) -> None:
        """Move the tokens of each row to its left, so that rows of any history can lie beside each other."""
        empty = self._documents == PADDING
        order = empty.long().argsort(dim=1, stable=True)
        self._documents = self._documents.gather(1, order)
        self._positions = self._positions.gather(1, order)
        whole = order[:, :, None, None].expand_as(self._keys)
        self._keys, self._values = self._keys.gather(1, whole), self._values.gather(1, whole)
        self.length = int((~empty).sum(dim=1).max())

    def _check(self, key: Tensor) -> None:
        if torch.is_grad_enabled() and key.requires_grad:
            raise UsageError("a key-value cache passes no gradients; generate under torch.no_grad()")
        if self.length + key.shape[1] > self.capacity:
            raise UsageError(
                f"the key-value cache holds {self.length} of {self.capacity} tokens a row and cannot take "
                f"{key.shape[1]} more; make it with a larger capacity"
            )


def _resized(held: Tensor, capacity: int, empty: int) -> Tensor:
    missing = capacity - held.shape[1]
    if missing <= 0:
        return held[:, :capacity]
    return torch.cat((held, held.new_full((held.shape[0], missing, *held.shape[2:]), empty)), dim=1)
