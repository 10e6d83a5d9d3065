"""What the gain page is drawn from: the judgement, and the facts around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class ScoreRow(Protocol):
    """A mean score at a budget, with its interval."""

    @property
    def budget(self) -> int | str: ...
    @property
    def mean(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class SummaryRow(ScoreRow, Protocol):
    """That of an arm."""

    @property
    def arm(self) -> str: ...


class ProbeRow(ScoreRow, Protocol):
    """That of a simple reader of the frozen vectors."""

    @property
    def probe(self) -> str: ...


class VerdictRow(Protocol):
    """Pre-trained against scratch at one budget."""

    @property
    def budget(self) -> int | str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def difference(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def p(self) -> float | None: ...
    @property
    def seeds(self) -> int: ...


class JudgedGain(Protocol):
    """What the page needs of a judgement."""

    @property
    def sentence(self) -> str: ...
    @property
    def headline(self) -> int | str: ...
    @property
    def summary(self) -> Sequence[SummaryRow]: ...
    @property
    def verdicts(self) -> Sequence[VerdictRow]: ...
    @property
    def leakage(self) -> Mapping[str, Any]: ...
    @property
    def shifted(self) -> Sequence[SummaryRow]: ...
    @property
    def shifted_verdicts(self) -> Sequence[VerdictRow]: ...


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """What one stage or one cell of an arm took; None where it does not apply or is not known."""

    what: str
    seconds: float | None = None
    tokens: float | None = None
    flops: float | None = None
    peak_memory: float | None = None
    """Bytes."""
    steps: float | None = None


@dataclass(frozen=True)
class Sweep:
    """The learning rates (or the floor's choices) that an arm tried at a budget, with validation scores.

    A rate at which the loss was no number has None.
    """

    arm: str
    budget: int | str
    chosen: str
    tried: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True)
class Confusion:
    """Rows by true and predicted label of one arm, summed over seeds."""

    arm: str
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Example:
    """A test row that two arms answer differently."""

    text: str
    """"" of a picture."""
    label: str
    right_arm: str
    wrong_arm: str
    wrong_label: str
    picture: bytes = b""
    """A PNG file; none of a text."""


@dataclass(frozen=True, kw_only=True)
class GainFacts:
    """What the page tells besides the judgement itself; every text may hold anything."""

    title: str
    label_names: tuple[str, ...] = ()
    costs: tuple[CostRow, ...] = ()
    boundary: tuple[str, ...] = ()
    """Sentences on what was kept apart from what."""
    method: tuple[str, ...] = ()
    """Sentences on how it was measured, what was cut included."""
    sweeps: tuple[Sweep, ...] = ()
    probes: tuple[ProbeRow, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    examples: tuple[Example, ...] = ()
    shown: tuple[tuple[str, bytes], ...] = ()
    """What pre-training left to look at: names and PNG files."""
    floor: str = "TF-IDF and logistic regression"
    footer: str = ""
