"""Numbers in words: the one sentence a manager can read, and the console table.

No percentage without its interval, and no "better" where the paired test does not say so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.analysis.gain_facts import ScoreRow
from headwater.analysis.words import (
    at_budget,
    duration,
    interval_words,
    p_words,
    points,
    seeds_words,
    with_leaked_words,
)
from headwater.experiments.judgement import LabelEquivalence, Pretraining, Summary, Verdict
from headwater.experiments.plan import budget_order
from headwater.telling import in_columns

FLOOR_IS_NEAR = 0.01
"""One point: below this difference the floor is worth mentioning."""
WORTH_SAYING = 1.15
"""Fewer times the labels than this are not worth a clause of their own."""


def _difference(verdict: Verdict) -> str:
    return f"{points(verdict.difference, signed=True)} points ({interval_words(verdict.low, verdict.high)})"


def _subject(pretraining: Pretraining) -> str:
    if pretraining.items is not None:
        return f"Pre-training on {pretraining.items:,} of your {pretraining.what}"
    if pretraining.megabytes is None:
        return "Pre-training"
    size = pretraining.megabytes
    amount = (
        f"{size:.0f} MB"
        if 1 <= size < 1000
        else (f"{size / 1000:.1f} GB" if size >= 1000 else f"{size:.2f} MB")
    )
    return f"Pre-training on {amount} of your text"


def _cost(pretraining: Pretraining) -> str:
    return "" if pretraining.seconds is None else f"; it cost {duration(pretraining.seconds)}"


def leakage_words(leakage: Mapping[str, Any]) -> str:
    """How many test rows the model had seen, and what the scores would be with them; "" where none."""
    if not leakage["leaked_rows"]:
        return ""
    return (
        f"{leakage['leaked_rows']:,} of {leakage['test_rows']:,} test rows ({leakage['exact']:,} exactly, "
        f"{leakage['near']:,} nearly) were in what the model was trained on before. They are left out of every score. "
        f"{with_leaked_words(leakage)}"
    )


def equivalence_words(equivalence: LabelEquivalence | None) -> str:
    """ "about what 4 times the labels would bring"; empty when there is nothing worth saying."""
    if equivalence is None or equivalence.times < WORTH_SAYING:
        return ""
    if equivalence.beyond:
        return f"more than {_floored(equivalence.times)} times the labels would bring"
    return f"about what {_rounded(equivalence.times)} times the labels would bring"


def _rounded(times: float) -> str:
    if times < 2:
        return f"{times:.1f}"
    return f"{times:.0f}" if times < 20 else f"{round(times, -1):.0f}"


def _floored(times: float) -> str:
    # "More than" must stay true, so it is never rounded up, but for what computing with logarithms lost.
    times += 1e-9
    return f"{int(times)}" if times >= 2 else f"{int(times * 10) / 10:.1f}"


def gain_sentence(
    verdict: Verdict,
    *,
    pretraining: Pretraining,
    equivalence: LabelEquivalence | None = None,
    against_floor: Verdict | None = None,
    floor: str = "bag-of-words",
    against_parent: Verdict | None = None,
) -> str:
    """What the numbers say at the headline budget; a second sentence where floor or parent matter."""
    sentences = [_main_sentence(verdict, pretraining, equivalence)]
    sentences += [_parent_sentence(against_parent)] if against_parent else []
    sentences += [_floor_sentence(against_floor, floor)] if against_floor else []
    return " ".join(sentence for sentence in sentences if sentence)


def _main_sentence(verdict: Verdict, pretraining: Pretraining, equivalence: LabelEquivalence | None) -> str:
    subject, where, cost = _subject(pretraining), at_budget(verdict.budget), _cost(pretraining)
    if verdict.verdict == "helped":
        labels = equivalence_words(equivalence)
        return f"{subject} is worth {_difference(verdict)} {where}{', ' + labels if labels else ''}{cost}."
    if verdict.verdict == "hurt":
        return f"{subject} made things worse: {_difference(verdict)} {where}{cost}."
    if verdict.p is None:
        return (
            f"{seeds_words(verdict.seeds).capitalize()} cannot say whether pre-training helped: {where} the "
            f"difference was "
            f"{_difference(verdict)}, and another seed may turn it round; run at least 3 seeds."
        )
    return (
        f"{subject} made no difference that {seeds_words(verdict.seeds)} can show: {_difference(verdict)} "
        f"{where} "
        f"(paired test, {p_words(verdict.p)}){cost}."
    )


def _parent_sentence(verdict: Verdict) -> str:
    subject = "Against the model it was continued from, this run"
    if verdict.verdict == "helped":
        return f"{subject} is worth {_difference(verdict)}."
    if verdict.verdict == "hurt":
        return f"{subject} made things worse: {_difference(verdict)}."
    if verdict.p is None:
        return (
            f"{subject} differs by {_difference(verdict)}, which {seeds_words(verdict.seeds)} cannot judge."
        )
    return (
        f"{subject} made no difference that {seeds_words(verdict.seeds)} can show: {_difference(verdict)}, "
        f"{p_words(verdict.p)}."
    )


def _floor_sentence(verdict: Verdict, floor: str) -> str:
    """Pre-trained minus floor: silent when the pre-trained arm is more than a point above."""
    if verdict.verdict == "hurt":
        above = f"{points(-verdict.difference)} points ({interval_words(-verdict.high, -verdict.low)})"
        return f"The {floor} floor scores {above} above it: this task may not need a Transformer."
    if abs(verdict.difference) <= FLOOR_IS_NEAR:
        return f"The {floor} floor is within 1 point: this task may not need a Transformer."
    if verdict.difference < 0:
        above = f"{points(-verdict.difference, signed=True)} points, "
        above += interval_words(-verdict.high, -verdict.low)
        return f"The {floor} floor keeps up with it ({above}): this task may not need a Transformer."
    return ""


def plain_table(summary: Sequence[Summary], title: str = "labels per class") -> str:
    """Accuracy in points with its 95 % interval, one line an arm and one column a budget."""
    return table_of([(row.arm, row) for row in summary], title)


def table_of(scores: Sequence[tuple[str, ScoreRow]], title: str) -> str:
    """Named scores in points with their 95 % intervals, one line a name and one column a budget."""
    arms = list(dict.fromkeys(name for name, _ in scores))
    budgets = sorted(dict.fromkeys(row.budget for _, row in scores), key=budget_order)
    cells = {(name, row.budget): row for name, row in scores}
    lines = [[title, *(str(budget) for budget in budgets)]]
    for arm in arms:
        found = [cells.get((arm, budget)) for budget in budgets]
        lines.append([arm, *("–" if row is None else _table_cell(row) for row in found)])
    return in_columns(lines)


def _table_cell(row: ScoreRow) -> str:
    return f"{points(row.mean)} ({points(row.low)} … {points(row.high)})"
