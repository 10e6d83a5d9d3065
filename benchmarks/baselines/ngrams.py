"""A language model that counts: the next character from the ``--order`` − 1 before it.

    python -m benchmarks.baselines.ngrams lm/tinyshakespeare/train.txt lm/tinyshakespeare/valid.txt --order 6

p(c | h) = (n(h c) + t(h) · p(c | h')) / (n(h) + t(h)), where h' is h without its first character and t(h) the number of
different characters that followed h; below the first order all characters of both files are as likely. Witten and Bell
1991, doi:10.1109/18.87000. The test file is read as one text, line ends included, its first ``--most`` characters.
"""

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Mapping

from benchmarks.baselines import data_file

Counts = Mapping[str, Counter[str]]


def counted(text: str, order: int) -> Counts:
    """Which characters followed each context of at most ``order`` − 1 characters, and how often."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for length in range(order):
        for place in range(length, len(text)):
            found[text[place - length : place]][text[place]] += 1
    return found


def probability(character: str, context: str, counts: Counts, alphabet: int) -> float:
    """p(character | context)."""
    found = 1.0 / alphabet
    for start in range(len(context), -1, -1):
        followers = counts.get(context[start:])
        if followers is None:
            break
        kinds = len(followers)
        found = (followers[character] + kinds * found) / (followers.total() + kinds)
    return found


def nats(train: str, test: str, order: int) -> float:
    """Nats a character of the test text."""
    counts, alphabet = counted(train, order), len({*train, *test})
    lost = (
        -math.log(probability(test[place], test[max(0, place - order + 1) : place], counts, alphabet))
        for place in range(len(test))
    )
    return sum(lost) / len(test)


def main() -> None:
    """Print the loss."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=data_file)
    parser.add_argument("test", type=data_file)
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--most", type=int, help="characters of the test text that are read; without it all")
    given = parser.parse_args()
    train, test = (path.read_text(encoding="utf-8") for path in (given.train, given.test))
    test = test[: given.most]
    found = nats(train, test, given.order)
    print(f"{len(test):,} characters: {found:.3f} nats a character by {given.order}-grams")


if __name__ == "__main__":
    main()
