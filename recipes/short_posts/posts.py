"""Short posts as people write them: links, names and reposts put aside, so that a model reads what was said.

    python recipes/short_posts/posts.py export.jsonl posts/train.tsv --label label
    headwater pretrain posts/train.tsv --size nano --minutes 10 --hold-out posts/test.tsv --out runs/posts
    headwater gain runs/posts posts/train.tsv --test posts/test.tsv --budgets 8,32,128

Any table that Headwater reads (csv, tsv, jsonl, parquet …) will do. A link becomes "link", a name behind @ "@someone",
HTML entities their characters, four or more equal letters or marks three (numbers stay as they are); what begins as a
repost, is empty then, or has been said before in the same words is left out and counted.
"""

import argparse
import csv
import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from headwater.data.readers import read_labelled

LINK = re.compile(r"(https?://|www\.)[^\s\u3000-\u9fff\uff00-\uffef]+")
NAME = re.compile(r"(?<![\w.])[@\uff20][\w\-]{1,30}")
REPOST = re.compile(r"^\s*(RT\b|\u8f6c\u53d1\u5fae\u535a|//\s*@)", re.IGNORECASE)
DRAWN_OUT = re.compile(r"([^\W\d_])\1{3,}|([!?.~\u3002\uff01\uff1f])\2{3,}")
BLANKS = re.compile(r"\s+")


def cleaned(post: str) -> str:
    """The words of a post."""
    text = html.unescape(post)
    text = LINK.sub(" link ", text)
    text = NAME.sub(" @someone ", text)
    text = DRAWN_OUT.sub(lambda found: found[0][:3], text)
    return BLANKS.sub(" ", text).strip()


def kept(posts: Sequence[tuple[str, str]], left_out: Counter[str]) -> Iterator[tuple[str, str]]:
    """Labels and cleaned posts that say something new; the others are counted by reason."""
    seen: set[str] = set()
    for label, post in posts:
        text = cleaned(post)
        reason = "a repost" if REPOST.match(post) else "empty" if not text else "said before" * (text in seen)
        if reason:
            left_out[reason] += 1
            continue
        seen.add(text)
        yield label, text


def main(arguments: Sequence[str] | None = None) -> None:
    """Read an export, write a table, say what was left out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export", type=Path, help="the posts as they were exported")
    parser.add_argument("table", type=Path, help="the table of labels and texts to write")
    parser.add_argument("--text", help="the column of the posts")
    parser.add_argument("--label", help="the column of the labels")
    chosen = parser.parse_args(arguments)
    found = read_labelled(chosen.export, text=chosen.text, label=chosen.label)
    left_out: Counter[str] = Counter()
    rows = list(kept([(row.label or "", row.text) for row in found.examples], left_out))
    chosen.table.parent.mkdir(parents=True, exist_ok=True)
    with chosen.table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["label", "text"])
        writer.writerows(rows)
    reasons = "".join(f"; left out: {count:,} {reason}" for reason, count in left_out.most_common())
    print(f"{len(rows):,} posts in {chosen.table}{reasons}")


if __name__ == "__main__":
    main()
