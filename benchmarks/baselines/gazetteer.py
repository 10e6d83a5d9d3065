"""Names by a list: every span of the training sentences is looked up in the test sentences.

    python -m benchmarks.baselines.gazetteer ner/wikiann_en/train.bio ner/wikiann_en/test.bio

A span means the kind that it had most often; where several fit, the longest is taken, from left to right.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.baselines import data_file
from headwater.data.tags import spans_of
from headwater.evaluation.metrics.spans import SpanReport, span_report

Sentence = tuple[list[str], list[str]]
Names = Mapping[tuple[str, ...], str]


def sentences(path: Path) -> list[Sentence]:
    """Words and tags, one word a line, a blank line after each sentence."""
    blocks = path.read_text(encoding="utf-8").strip("\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n") if line] for block in blocks]
    return [([cells[0] for cells in row], [cells[-1] for cells in row]) for row in rows if row]


def names_in(training: Sequence[Sentence]) -> Names:
    """The words of every span, and the kind that they had most often."""
    kinds: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for words, tags in training:
        for span in spans_of(tags):
            kinds[tuple(words[span.start : span.stop])][span.kind] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in kinds.items()}


def tagged(words: Sequence[str], names: Names, longest: int) -> list[str]:
    """The tags of a sentence in which the names of the list stand."""
    tags = ["O"] * len(words)
    place = 0
    while place < len(words):
        ends = range(min(len(words), place + longest), place, -1)
        end = next((end for end in ends if tuple(words[place:end]) in names), None)
        if end is None:
            place += 1
            continue
        kind = names[tuple(words[place:end])]
        tags[place:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - place - 1)]
        place = end
    return tags


def judge(train: Path, test: Path) -> SpanReport:
    """The spans of the test file that the list finds."""
    names, asked = names_in(sentences(train)), sentences(test)
    longest = max(map(len, names), default=1)
    return span_report([tags for _, tags in asked], [tagged(words, names, longest) for words, _ in asked])


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=data_file)
    parser.add_argument("test", type=data_file)
    given = parser.parse_args()
    print(judge(given.train, given.test))


if __name__ == "__main__":
    main()
