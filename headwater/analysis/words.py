"""Numbers as a reader would say them, the same in the console, in ``gain.json`` and on the page."""

from collections.abc import Mapping
from typing import Any

from headwater.analysis.gain_facts import VerdictRow


def points(share: float, *, signed: bool = False) -> str:
    """A share as points with one decimal: 0.1239 → 12.4, signed: +12.4."""
    text = f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"
    text = {"-0.0": "0.0", "+0.0": "0.0"}.get(text, text)
    return text.replace("-", "−")


def interval_words(low: float, high: float) -> str:
    """The 95 % interval in points."""
    return f"95 % {points(low)} … {points(high)}"


def at_budget(budget: int | str) -> str:
    """ "at 32 labels per class", or "with all labels"."""
    return "with all labels" if budget == "all" else f"at {budget} labels per class"


def duration(seconds: float) -> str:
    """Seconds as a reader would say them: under a second, 50 seconds, 11 minutes, 2.5 hours, 3.1 days."""
    if seconds < 1.5:
        return "under a second" if seconds < 1 else "1 second"
    for unit, size, enough in (("seconds", 1, 90), ("minutes", 60, 90), ("hours", 3600, 48)):
        if seconds / size < enough:
            number = seconds / size
            return f"{number:.0f} {unit}" if number >= 10 or unit == "seconds" else f"{number:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"


def p_words(p: float) -> str:
    """A p-value with as many digits as it deserves."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def seeds_words(count: int) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{count} seed" if count == 1 else f"{count} seeds"


def amount_of(megabytes: float) -> str:
    """Megabytes as a reader would say them: 0.35 MB, 41 MB, 1.2 GB."""
    if megabytes >= 1000:
        return f"{megabytes / 1000:.1f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.2g} MB"


def count_words(number: float) -> str:
    """A large number in three digits: 950, 12.3 k, 6.40 M, 1.23 T (peta and beyond as powers of ten)."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if 1e15 > number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}" if number >= 1e15 else f"{number:.0f}"


def verdict_sentence(verdict: VerdictRow) -> str:
    """Pre-trained against scratch at one budget, with the interval and what may be said of it."""
    where = at_budget(verdict.budget)
    difference = (
        f"{points(verdict.difference, signed=True)} points ({interval_words(verdict.low, verdict.high)}"
    )
    difference += f", {p_words(verdict.p)})" if verdict.p is not None else ")"
    start = where[0].upper() + where[1:]
    if verdict.verdict == "helped":
        return f"{start}, pre-training helped: {difference}."
    if verdict.verdict == "hurt":
        return f"{start}, pre-training made it worse: {difference}."
    if verdict.p is None:
        return f"{start}, {seeds_words(verdict.seeds)} cannot say: {difference}."
    return f"{start}, {seeds_words(verdict.seeds)} show no difference: {difference}."


def with_leaked_words(leakage: Mapping[str, Any]) -> str:
    """What the scores would be with the leaked rows; empty where nothing leaked."""
    found = [
        f"{row['arm']} {at_budget(row['budget'])} {points(row['mean'])} ({interval_words(row['low'], row['high'])})"
        for row in leakage.get("with_leaked_rows", ())
        if row["arm"] in ("pretrained", "scratch")
    ]
    return f"For comparison, with the leaked rows: {'; '.join(found)}." if found else ""
