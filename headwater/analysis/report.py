"""The gain report: one self-contained page that a manager can read and an engineer can check.

The judgement comes in as it is (``experiments.judging.Gain`` fits ``JudgedGain``); what else the page tells
is in ``GainFacts``.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headwater.analysis.figures import (
    STYLES,
    Line,
    Point,
    confusion_figure,
    label_budget_curve,
    style_of,
    svg,
)
from headwater.analysis.gain_facts import (
    CostRow,
    Example,
    GainFacts,
    JudgedGain,
    ProbeRow,
    ScoreRow,
    SummaryRow,
    Sweep,
)
from headwater.analysis.markup import (
    LONGEST_TEXT,
    Content,
    Html,
    bullets,
    clean,
    foreign,
    inline_picture,
    page,
    paragraph,
    section,
    table,
)
from headwater.analysis.words import (
    at_budget,
    count_words,
    duration,
    interval_words,
    points,
    verdict_sentence,
    with_leaked_words,
)
from headwater.errors import StorageError

ARM_WORDS = {
    "pretrained": "this run, pre-trained",
    "scratch": "the same architecture, random weights",
    "recurrent": "bidirectional LSTM of the same size, random weights",
    "convolutional": "convolutional network of the same size, random weights",
    "floor": "TF-IDF and logistic regression",
    "parent": "the model this run was continued from",
}
PROBE_WORDS = {"linear": "logistic regression", "neighbours": "nearest neighbours"}
VERDICT_WORDS = {
    "helped": "helped",
    "hurt": "made it worse",
    "no_difference": "no difference shown",
    "not_enough_seeds": "too few seeds to say",
}


def write_gain_report(path: Path, gain: JudgedGain, facts: GainFacts) -> Path:
    """Write the page to ``path``: written aside and renamed, so that a reader never meets half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(gain_page(gain, facts), encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        if aside.exists():
            aside.unlink()
        raise StorageError(
            f"could not write the report {path} ({error}); the results are in gain.json"
        ) from error
    return path


def gain_page(gain: JudgedGain, facts: GainFacts) -> str:
    """The page as text."""
    return page(
        f"Gain: {facts.title}",
        [
            _head(gain, facts),
            _curve(gain.summary),
            _scores(
                "Scores",
                "Accuracy in points, with 95 % intervals over seeds and test rows.",
                gain.summary,
                words=ARM_WORDS | {"floor": facts.floor},
            ),
            section(
                "Verdicts",
                bullets(verdict_sentence(verdict) for verdict in gain.verdicts),
                _verdict_note(gain),
            ),
            _probes(facts.probes),
            _shifted(gain),
            _shown(facts.shown),
            _costs(facts.costs),
            _boundary(gain.leakage, facts.boundary),
            _method(facts),
            _confusions(gain, facts),
            _examples(facts.examples),
            f"<footer>{clean(facts.footer)}</footer>" if facts.footer else "",
        ],
    )


def _head(gain: JudgedGain, facts: GainFacts) -> str:
    # What follows the first sentence (parent, floor) is as true, but not the headline.
    first, *further = re.split(r"(?<=\.) (?=[A-Z])", gain.sentence)
    cards: list[str] = []
    for verdict in gain.verdicts:
        kind = clean(verdict.verdict)
        cards.append(
            f'<li class="{kind}"><span class="where">{clean(at_budget(verdict.budget))}</span>'
            f"<strong>{points(verdict.difference, signed=True)}</strong>"
            f'<span class="how">{clean(interval_words(verdict.low, verdict.high))}<br>'
            f"{clean(VERDICT_WORDS[verdict.verdict])}</span></li>"
        )
    return "\n".join(
        [
            "<header>",
            f"<h1>What did pre-training buy? · {foreign(facts.title)}</h1>",
            f'<p class="sentence">{clean(first)}</p>',
            f'<p class="further">{clean(" ".join(further))}</p>' if further else "",
            '<ul class="verdicts" aria-label="Pre-trained minus scratch, in points, for each label budget">',
            *cards,
            "</ul>",
            "</header>",
        ]
    )


def _lines(summary: Sequence[SummaryRow]) -> list[Line]:
    arms = dict.fromkeys(row.arm for row in summary)
    return [
        Line(
            arm,
            [
                Point(None if row.budget == "all" else float(row.budget), row.mean, row.low, row.high)
                for row in summary
                if row.arm == arm
            ],
            strong=arm in ("pretrained", "scratch"),
        )
        for arm in arms
    ]


def _curve(summary: Sequence[SummaryRow]) -> str:
    lines = _lines(summary)
    alt = "Accuracy against labels per class. " + " ".join(
        f"{line.name}: " + ", ".join(f"{points(point.value)}" for point in line.points) + "."
        for line in lines
    )
    wide = svg(label_budget_curve(lines), alt)
    narrow = svg(label_budget_curve(lines, width=4.4, height=4.4), alt)
    return section(
        "Accuracy against labels",
        f'<figure><div class="wide">{wide}</div><div class="narrow">{narrow}</div>'
        "<figcaption>Every arm learned from the very same rows; bars are 95 % intervals over seeds and test "
        "rows."
        "</figcaption></figure>",
    )


def _arm(arm: str) -> Html:
    return Html(f'<span class="swatch" style="background:{style_of(arm).colour}"></span>{clean(arm)}')


def _scores(
    title: str,
    caption: str,
    summary: Sequence[SummaryRow],
    after: str = "",
    words: Mapping[str, str] = ARM_WORDS,
) -> str:
    budgets = sorted(dict.fromkeys(row.budget for row in summary), key=_budget_order)
    cells = {(row.arm, row.budget): row for row in summary}
    rows: list[list[Content]] = []
    for arm in dict.fromkeys(row.arm for row in summary):
        found = [cells.get((arm, budget)) for budget in budgets]
        rows.append([_arm(arm), *("–" if row is None else _score(row) for row in found)])
    first = next((number for number, line in enumerate(_lines(summary)) if line.name == "pretrained"), None)
    columns = ["arm", *_budget_columns(budgets)]
    arms = [f"{arm}: {words[arm]}" for arm in STYLES if any(row.arm == arm for row in summary)]
    return section(
        title, table(caption, columns, rows, first=first), after, paragraph("; ".join(arms) + ".", quiet=True)
    )


def _probes(scores: Sequence[ProbeRow]) -> str:
    """What simple readers find in the frozen vectors: cheap extra columns."""
    if not scores:
        return ""
    budgets = sorted(dict.fromkeys(row.budget for row in scores), key=_budget_order)
    cells = {(row.probe, row.budget): row for row in scores}
    rows: list[list[Content]] = [
        [PROBE_WORDS.get(probe, probe), *(_score(cells[probe, budget]) for budget in budgets)]
        for probe in dict.fromkeys(row.probe for row in scores)
    ]
    caption = "Accuracy in points on the vectors of the run as pre-training left it, with 95 % intervals."
    return section("Frozen vectors", table(caption, ["probe", *_budget_columns(budgets)], rows))


def _score(row: ScoreRow) -> Html:
    return Html(f'{points(row.mean)}<span class="interval">{points(row.low)} … {points(row.high)}</span>')


def _verdict_note(gain: JudgedGain) -> str:
    if all(verdict.p is None for verdict in gain.verdicts):
        return paragraph(
            "Below three seeds no test is made; the intervals speak of few trainings.", quiet=True
        )
    return paragraph(
        "Pre-trained against scratch on the same rows and seeds; p-values of a paired test, Holm-corrected "
        "over the "
        "budgets. An interval is for its budget alone, so it can leave out zero where the corrected test "
        "does not.",
        quiet=True,
    )


def _shifted(gain: JudgedGain) -> str:
    if not gain.shifted:
        return ""
    verdicts = bullets(verdict_sentence(verdict) for verdict in gain.shifted_verdicts)
    caption = "Accuracy in points on the test rows of another origin, with 95 % intervals."
    return _scores("On the shifted test", caption, gain.shifted, verdicts)


def _costs(costs: Sequence[CostRow]) -> str:
    if not costs:
        return ""

    def shown(value: float | None, words: Any) -> str:
        return "–" if value is None else words(value)

    rows: list[list[Content]] = [
        [
            row.what,
            shown(row.seconds, duration),
            shown(row.steps, lambda number: f"{number:,.0f}"),
            shown(row.tokens, count_words),
            shown(row.flops, count_words),
            shown(row.peak_memory, lambda size: f"{size / 2**20:,.0f} MiB"),
        ]
        for row in costs
    ]
    columns = ["stage", "time", "steps", "tokens", "FLOPs", "peak memory"]
    return section("Cost", table("Pre-training once; the arms as the mean of one cell.", columns, rows))


def _boundary(leakage: Mapping[str, Any], sentences: Sequence[str]) -> str:
    rows, leaked = (int(leakage.get(name, 0)) for name in ("test_rows", "leaked_rows"))
    told = [f"{rows:,} test rows; scored: {rows - leaked:,}."]
    if leaked:
        kinds = f"{leakage.get('exact', 0)} exactly, {leakage.get('near', 0)} nearly"
        told.append(
            f"{leaked:,} test rows ({kinds}) were in what the model was trained on before. They are left out of "
            "every score on this page."
        )
    else:
        told.append("No test row was found in what the model was trained on before.")
    comparison = with_leaked_words(leakage)
    shown = paragraph(comparison, quiet=True) if comparison else ""
    return section("Leakage and data boundary", bullets([*told, *sentences]), shown)


def _method(facts: GainFacts) -> str:
    caption = "What each arm chose on the validation rows, and its accuracy there in points."
    return section("How it was measured", bullets(facts.method), _sweeps(caption, facts.sweeps))


def _sweeps(caption: str, sweeps: Sequence[Sweep]) -> str:
    """Arms by budgets: the learning rate chosen, its validation score, and between which others it was chosen."""
    if not sweeps:
        return ""
    budgets = sorted(dict.fromkeys(sweep.budget for sweep in sweeps), key=_budget_order)
    cells = {(sweep.arm, sweep.budget): sweep for sweep in sweeps}
    rows: list[list[Content]] = []
    for arm in dict.fromkeys(sweep.arm for sweep in sweeps):
        found = [cells.get((arm, budget)) for budget in budgets]
        tried = dict.fromkeys(
            name if score is not None else f"{name} (its loss was no number)"
            for sweep in found
            if sweep
            for name, score in sweep.tried
        )
        rows.append(
            [_arm(arm), *("–" if sweep is None else _chosen(sweep) for sweep in found), "; ".join(tried)]
        )
    columns = ["arm", *_budget_columns(budgets), "tried"]
    return table(caption, columns, rows, numbers=False)


def _chosen(sweep: Sweep) -> Html:
    score = dict(sweep.tried).get(sweep.chosen)
    shown = "" if score is None else f'<span class="interval">{points(score)}</span>'
    return Html(clean(sweep.chosen) + shown)


def _budget_order(budget: int | str) -> float:
    return float("inf") if budget == "all" else float(budget)


def _budget_columns(budgets: Sequence[int | str]) -> list[str]:
    return ["all labels" if budget == "all" else f"{budget} per class" for budget in budgets]


def _confusions(gain: JudgedGain, facts: GainFacts) -> str:
    figures: list[str] = []
    for confusion in facts.confusions:
        matrix = np.array(confusion.matrix, dtype=np.int64)
        right = int(np.trace(matrix))
        alt = f"Confusion matrix of {confusion.arm}: {right:,} of {int(matrix.sum()):,} on the diagonal."
        drawn = svg(confusion_figure(matrix, facts.label_names, colour=style_of(confusion.arm).colour), alt)
        figures.append(f"<figure><h3>{_arm(confusion.arm).text}</h3>{drawn}</figure>")
    if not figures:
        return ""
    note = f"True label down, predicted label across, {at_budget(gain.headline)}, all seeds together."
    matrices = f'<div class="matrices">{"".join(figures)}</div>'
    return section("What is taken for what", paragraph(note, quiet=True), matrices)


def _seen(example: Example) -> str:
    picture = inline_picture(example.picture, f"A picture of {example.label}") if example.picture else ""
    text = f"<q>{foreign(example.text, LONGEST_TEXT)}</q>" if example.text or not picture else ""
    return f"{picture} {text}".strip()


def _shown(pictures: Sequence[tuple[str, bytes]]) -> str:
    """What the pretext task made of pictures that were held out."""
    if not pictures:
        return ""
    figures = [
        f"<figure>{inline_picture(content, name)}<figcaption>{clean(name)}</figcaption></figure>"
        for name, content in pictures
    ]
    return section("What pre-training made of held-out data", *figures)


def _examples(examples: Sequence[Example]) -> str:
    parts: list[str] = []
    for right, wrong in dict.fromkeys((example.right_arm, example.wrong_arm) for example in examples):
        group = [example for example in examples if (example.right_arm, example.wrong_arm) == (right, wrong)]
        items = [
            f"<li>{_seen(example)}"
            f'<span class="labels"><b>{foreign(example.label)}</b>, which {clean(right)} found; '
            f"{clean(wrong)} said {foreign(example.wrong_label)}</span></li>"
            for example in group
        ]
        parts.append(f"<h3>{clean(right)} right, {clean(wrong)} wrong</h3>")
        parts.append("\n".join(['<ul class="examples">', *items, "</ul>"]))
    return section("Examples", *parts)
