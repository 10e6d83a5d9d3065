"""How often the encoding of a few lines is told rightly: sentences of many languages, written as people wrote them.

    python -m benchmarks.encodings [--catalogues /usr/share/locale]

The sentences are those of the gettext catalogues of this machine's programs (15 to 200 characters). Of each language
and encoding forty samples of 1, 3, 10 and 50 lines are drawn; a sample is right where every character comes back.
"""

import argparse
import gettext
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headwater.data.encodings import of_sample

LANGUAGES = {
    "cp1252": ("fr", "de", "it", "es", "pt", "ca", "nl", "sv", "da", "nb", "fi", "eu", "gl"),
    "iso8859-1": ("fr", "de", "it", "es"),
    "iso8859-15": ("fr",),
    "cp1250": ("pl", "cs", "sk", "hu", "ro", "sl", "hr"),
    "iso8859-2": ("pl", "cs", "hu"),
    "cp1251": ("ru", "uk", "bg", "be"),
    "koi8-r": ("ru",),
    "iso8859-5": ("ru",),
    "cp866": ("ru",),
    "cp1253": ("el",),
    "iso8859-7": ("el",),
    "cp1254": ("tr",),
    "iso8859-9": ("tr",),
    "cp1255": ("he",),
    "cp1256": ("ar", "fa"),
    "iso8859-6": ("ar",),
    "cp1257": ("lt", "lv", "et"),
    "cp874": ("th",),
    "shift_jis": ("ja",),
    "euc_jp": ("ja",),
    "euc_kr": ("ko",),
    "big5": ("zh_TW",),
    "gb18030": ("zh_CN",),
}
LINES = (1, 3, 10, 50)
SAMPLES = 40
FEWEST_SENTENCES = 50


def sentences(folder: Path, language: str, encoding: str) -> list[str]:
    """Those of a language that this encoding can write."""
    return [text for text in _translations(folder / language / "LC_MESSAGES") if _writes(text, encoding)]


def _translations(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = vars(gettext.GNUTranslations(file))["_catalog"]
        except UnicodeDecodeError:  # a few catalogues are not in the encoding that they name
            continue
        texts = (text.replace("\n", " ") for key, text in catalogue.items() if key and isinstance(text, str))
        yield from (text for text in texts if 15 < len(text) < 200)


def _writes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def judge(known: dict[tuple[str, str], list[str]], lines: int) -> tuple[int, int, Counter[str]]:
    """How many samples are right, how many were guessed at, and what was taken for what."""
    draws, right, asked = random.Random(0), 0, 0
    wrong: Counter[str] = Counter()
    for (encoding, language), texts in known.items():
        for _ in range(SAMPLES):
            sample = "\n".join(draws.sample(texts, lines))
            written = sample.encode(encoding)
            if written.isascii():
                continue
            asked += 1
            codec = of_sample(written).codec
            if written.decode(codec, "replace") == sample:
                right += 1
            else:
                wrong[f"{encoding} ({language}) as {codec.replace('utf-8', 'none')}"] += 1
    return right, asked, wrong


def main() -> None:
    """Print a line for each size of sample, and the most frequent errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--catalogues", type=Path, default=Path("/usr/share/locale"))
    folder = parser.parse_args().catalogues
    pairs = [(encoding, language) for encoding, languages in LANGUAGES.items() for language in languages]
    known = {pair: sentences(folder, pair[1], pair[0]) for pair in pairs}
    known = {pair: texts for pair, texts in known.items() if len(texts) >= FEWEST_SENTENCES}
    if not known:
        raise SystemExit(
            f"{folder} holds no catalogues with sentences; name another folder with --catalogues"
        )
    print(f"{len(known)} of {len(pairs)} pairs of encoding and language; {SAMPLES} samples each")
    for lines in LINES:
        right, asked, wrong = judge(known, lines)
        errors = ", ".join(f"{what} {count}" for what, count in wrong.most_common(4))
        print(
            f"{lines:>3} line(s): {right:,} of {asked:,} right ({right / asked:.1%}); {errors or 'no error'}"
        )


if __name__ == "__main__":
    main()
