import io

import pytest

from headwater.training.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A time that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _train(progress: Progress, clock: Clock, steps: int, seconds_a_step: float) -> None:
    progress.stage("pre-training", steps)
    for step in range(1, steps + 1):
        clock.now += seconds_a_step
        progress.update(step, loss=2.0 / step, tokens=500)


def test_away_from_a_terminal_there_is_one_plain_line_now_and_then(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(stream=stream, line_seconds=10, clock=clock) as progress:
        _train(progress, clock, 40, 1.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "pre-training: 10 of 40 (25 %), loss 0.2, 500 tokens/s, 30 s left"
    assert lines[-1] == "pre-training: 40 of 40 (100 %) in 40 s, loss 0.05"
    assert len(lines) == 5
    assert "\x1b" not in stream.getvalue()


def test_what_is_over_within_two_seconds_never_shows(clock: Clock) -> None:
    for stream in (io.StringIO(), Terminal()):
        with Progress(stream=stream, line_seconds=0, clock=clock) as progress:
            _train(progress, clock, 18, 0.1)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_gone_in_the_end(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with Progress(stream=stream, clock=clock) as progress:
        _train(progress, clock, 6, 1.0)
    text = stream.getvalue()
    assert "━" in text
    assert "tokens/s" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden, then shown again


def test_no_color_takes_the_colours_and_leaves_the_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with Progress(stream=stream, clock=clock) as progress:
        _train(progress, clock, 6, 1.0)
    assert "━" in stream.getvalue()
    assert "\x1b[38" not in stream.getvalue()


def test_a_dumb_terminal_gets_plain_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream=stream, line_seconds=2, clock=clock) as progress:
        _train(progress, clock, 6, 1.0)
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().startswith("pre-training: 2 of 6")


def test_quiet_says_nothing_at_all(clock: Clock) -> None:
    for stream in (io.StringIO(), Terminal()):
        with Progress(stream=stream, quiet=True, line_seconds=0, clock=clock) as progress:
            progress.say("hello")
            _train(progress, clock, 6, 1.0)
        assert stream.getvalue() == ""


def test_steps_done_before_a_resume_do_not_count_as_speed(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(stream=stream, line_seconds=5, clock=clock) as progress:
        progress.stage("pre-training", 100, start=90)
        clock.now += 5.0
        progress.update(95)
    assert "95 of 100 (95 %), 5 s left" in stream.getvalue()


def test_reports_of_data_building_change_stages_by_name(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(stream=stream, line_seconds=3, clock=clock) as progress:
        for done in range(4):
            clock.now += 1.0
            progress.report("reading", done, None)
        for done in range(1, 5):
            clock.now += 1.0
            progress.report("tokenising [1]", done, 4)
    assert stream.getvalue().splitlines() == [
        "reading: 3",
        "reading: 3 in 4 s",
        "tokenising [1]: 4 of 4 (100 %)",
        "tokenising [1]: 4 of 4 (100 %) in 3 s",
    ]


def test_what_is_said_is_one_line_however_long_and_no_markup(clock: Clock) -> None:
    stream = io.StringIO()
    Progress(stream=stream, clock=clock).say("[bold] " + "word " * 60)
    assert stream.getvalue() == "[bold] " + "word " * 60 + "\n"


def test_an_update_outside_a_stage_is_nothing(clock: Clock) -> None:
    stream = io.StringIO()
    Progress(stream=stream, clock=clock, line_seconds=0).update(3, loss=1.0)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_a_time_is_told_in_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
