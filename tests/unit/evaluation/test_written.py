"""Texts as a model wrote them, beside those of people."""

from headwater.evaluation.metrics.recognition import recognition_report
from headwater.evaluation.metrics.text import text_report
from headwater.evaluation.metrics.written import Written, spread, told, written_in


def test_ten_rows_at_even_distances_are_shown_or_all_of_fewer() -> None:
    assert spread(3) == [0, 1, 2]
    assert spread(10) == list(range(10))
    assert spread(57) == [0, 5, 11, 17, 22, 28, 34, 39, 45, 51]


def test_a_report_shows_what_was_written_beside_the_text_of_people() -> None:
    names = [f"{number}.png" for number in range(20)]
    said, meant = [f"a {name}" for name in names], [f"the {name}" for name in names]
    for report in (
        text_report(said, [(text,) for text in meant], sources=names),
        recognition_report(said, meant, sources=names),
    ):
        assert report.examples[1] == Written("2.png", "the 2.png", "a 2.png")
        assert written_in(report.to_dict()["examples"]) == report.examples
        assert "2.png\n  reference  the 2.png\n  written    a 2.png" in str(report)
    assert text_report(said, [(text,) for text in meant]).to_dict()["examples"] == []


def test_long_texts_are_printed_in_part_and_kept_whole() -> None:
    example = Written("a\nb", "word " * 1_000, "")
    lines = told([example]).splitlines()
    assert lines[0] == "a b"
    assert max(map(len, lines)) < 400
    assert example.to_dict()["reference"] == "word " * 1_000
