"""The recipe for short posts: what is said stays, what is not is counted."""

from collections import Counter
from pathlib import Path

import pytest

from recipes.short_posts.posts import cleaned, kept, main


@pytest.mark.parametrize(
    ("post", "words"),
    [
        ("soooooo good &amp; cheap http://t.co/x1?y=2 !!!!!!", "sooo good & cheap link !!!"),
        ("thanks @anna_b, mail me: a@b.org", "thanks @someone , mail me: a@b.org"),
        ("好好好好好吃www.shop.cn/1，推荐", "好好好吃 link ，推荐"),
        ("价格10000元, 电话13800001111", "价格10000元, 电话13800001111"),
        ("\u3000 \n", ""),
    ],
)
def test_links_names_and_drawn_out_letters(post: str, words: str) -> None:
    assert cleaned(post) == words


def test_reposts_and_repetitions_are_left_out_and_counted() -> None:
    left_out: Counter[str] = Counter()
    posts = [("1", "RT @x: hello"), ("1", "so  nice"), ("0", "so nice"), ("0", "   "), ("0", "rtfm please")]
    assert list(kept(posts, left_out)) == [("1", "so nice"), ("0", "rtfm please")]
    assert left_out == {"a repost": 1, "said before": 1, "empty": 1}


def test_an_export_becomes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = (
        "label\ttext\n" + "".join(f"{n % 2}\tpost number {n} @you\n" for n in range(6)) + "1\tRT @a: post\n"
    )
    (tmp_path / "export.tsv").write_text(export)
    main([str(tmp_path / "export.tsv"), str(tmp_path / "out" / "train.tsv"), "--label", "label"])
    assert capsys.readouterr().out.endswith("left out: 1 a repost\n")
    assert (tmp_path / "out" / "train.tsv").read_text().splitlines()[1] == "0\tpost number 0 @someone"
