"""What the layers of one forward pass derive from a layout, computed once for all of them.

A mask or a table of rotary angles depends on the layout and on a few settings, not on the layer. A backbone
writes ``layout = share(layout)`` at the start of its pass; the first layer that needs a derived tensor
computes it, the others find it. The memory lives exactly as long as the shared layout.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from headwater.sequence import SequenceLayout

Derived = TypeVar("Derived")


def _no_memory() -> dict[tuple[Hashable, int], tuple[object, object]]:
    return {}


@dataclass(frozen=True, slots=True, eq=False)
class SharedLayout(SequenceLayout):
    """A layout that remembers what was derived from it."""

    # Not an argument, so dataclasses.replace (and ``to``) start a new memory for the new tensors.
    derived: dict[tuple[Hashable, int], tuple[object, object]] = field(
        default_factory=_no_memory, init=False, repr=False
    )


def share(layout: SequenceLayout) -> SharedLayout:
    """The same layout, remembering what is derived from it; a shared layout is returned as it is."""
    if isinstance(layout, SharedLayout):
        return layout
    return SharedLayout(layout.documents, layout.positions, layout.uniform, layout.contiguous)


def derive(
    layout: SequenceLayout, recipe: Hashable, compute: Callable[[], Derived], *, partner: object = None
) -> Derived:
    """``compute()``, or what it gave when the same recipe was last asked of this layout and partner.

    ``recipe`` names everything the result depends on besides the layout and the partner (compared by
    identity). The result must not need gradients: it outlives the layer that computed it.
    """
    # While tracing, the compiler removes the repetition itself; a dictionary of tensors would only add
    # guards.
    if not isinstance(layout, SharedLayout) or torch.compiler.is_compiling():
        return compute()
    key = (recipe, id(partner))
    if key not in layout.derived:
        # The partner is kept with the result, so that its id cannot be given to another object.
        layout.derived[key] = (partner, compute())
    return layout.derived[key][1]  # pyright: ignore[reportReturnType]
