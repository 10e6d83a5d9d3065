"""What the floor sees of a row: words and characters of a text, pixels of a picture, each as plain numbers."""

import unicodedata
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headwater.data.characters import marks
from headwater.data.cutting import resized
from headwater.data.examples import Content, arrays_in, pairs_in, texts_in
from headwater.data.sequencers.patches import frames_of
from headwater.errors import BadDataError

UNSPACED_SHARE = 0.3
LARGE_TRAINING_SET = 20_000
"""Above this many texts, what occurs in one of them only is left out: most columns, none of the score."""
SMALL_FRAME = 16
"""About the pixels of a side of a frame, as the floor of clips sees it."""
LARGEST_SIDE = 32
"""Pictures with more pixels a side are made smaller: a linear map gains nothing from them."""
MAX_ITERATIONS = 200
_SCRIPT_SAMPLE = 200
_UNSPACED_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


class Features(Protocol):
    """Numbers of rows, fitted on those to learn from, and the linear classifier that suits them."""

    @property
    def names(self) -> str:
        """What they are, in words."""
        ...

    def matrix(self, contents: Sequence[Content]) -> Any:
        """(rows, features), sparse or dense."""
        ...

    def classifier(self, strength: float, seed: int) -> Any:
        """A scikit-learn classifier that is not fitted; ``strength`` is C, large for little regularisation."""
        ...

    def fitting_flops(self, classifier: Any, matrix: Any) -> float:
        """The operations that fitting this classifier to a matrix of these features took, products alone."""
        ...


class WordFeatures:
    """TF-IDF weights: words and pairs of words beside characters in words; in scripts without blanks characters alone.

    weight = (1 + log count) · log inverse document frequency, each kind of a row scaled to length 1. Kinds that find
    nothing in the training texts are left out; where none finds anything, BadDataError.
    """

    def __init__(self, contents: Sequence[Content]) -> None:
        texts = _joined(contents)
        self.fitted: dict[str, Any] = {}
        for name, vectorizer in _vectorizers(texts).items():
            analyse = vectorizer.build_analyzer()
            if any(analyse(text) for text in texts):
                self.fitted[name] = vectorizer.fit(texts)
        if not self.fitted:
            raise BadDataError(
                "found no word or character to learn from in the training texts; check the text column"
            )

    @property
    def names(self) -> str:
        """The kinds that were found."""
        return " and ".join(self.fitted)

    def matrix(self, contents: Sequence[Content]) -> Any:
        """Sparse: (rows, features)."""
        from scipy.sparse import hstack

        texts = _joined(contents)
        return hstack([vectorizer.transform(texts) for vectorizer in self.fitted.values()], format="csr")

    def classifier(self, strength: float, seed: int) -> Any:
        """One regression a label, solved in the dual: as good as one for all labels, and several times faster where
        there are far more features than rows."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        one = LogisticRegression(
            C=strength, solver="liblinear", dual=True, max_iter=MAX_ITERATIONS, random_state=seed
        )
        return OneVsRestClassifier(one)

    def fitting_flops(self, classifier: Any, matrix: Any) -> float:
        """A pass of the descent in the dual multiplies each row with the weights and moves them along it: four
        operations a number that is not zero, the bias included (Yu et al. 2011, doi:10.1007/s10994-010-5221-8)."""
        passes = sum(int(one.n_iter_.sum()) for one in classifier.estimators_)
        return 4.0 * passes * (matrix.nnz + matrix.shape[0])


class PixelFeatures:
    """(pixel − mean) / (√features · deviation of all pixels), pictures with more than 32 pixels a side made smaller.

    A row has a mean square near 1 in all, whatever its size, so that one scale of regularisation suits every picture.
    """

    names = "pixels"

    def __init__(self, contents: Sequence[Content]) -> None:
        rows = self._rows(contents)
        self.mean = rows.mean(axis=0)
        self.scale = float((rows - self.mean).std()) * np.sqrt(rows.shape[1]) or 1.0

    def matrix(self, contents: Sequence[Content]) -> Any:
        """Dense: (rows, features)."""
        return (self._rows(contents) - self.mean) / self.scale

    def _rows(self, contents: Sequence[Content]) -> NDArray[np.float32]:
        return _pixels(contents)

    def classifier(self, strength: float, seed: int) -> Any:
        """One regression for all labels."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, max_iter=MAX_ITERATIONS, random_state=seed)

    def fitting_flops(self, classifier: Any, matrix: Any) -> float:
        """An iteration of L-BFGS takes the loss and its gradient at least once: two products of all rows with all
        weights."""
        rows, outputs = matrix.shape[0], classifier.coef_.shape[0]
        return 4.0 * int(classifier.n_iter_.max()) * rows * outputs * (matrix.shape[1] + 1)


class SoundFeatures(PixelFeatures):
    """The pixels of a spectrogram, and of each band of pitch its mean and its deviation over time."""

    names = "spectrogram, means and deviations"

    def _rows(self, contents: Sequence[Content]) -> NDArray[np.float32]:
        sounds = np.stack(arrays_in(contents))[..., 0]
        over_time = np.concatenate((sounds.mean(axis=2), sounds.std(axis=2)), axis=1, dtype=np.float32)
        return np.concatenate((super()._rows(contents), over_time), axis=1)


class ClipFeatures(PixelFeatures):
    """The pixels of all frames, made smaller, and where they change: the mean difference of one frame to the next."""

    names = "frames and their changes"

    def _rows(self, contents: Sequence[Content]) -> NDArray[np.float32]:
        strips = np.stack(arrays_in(contents))
        frames = frames_of(strips, strips.shape[1] // strips.shape[2])
        small = _block_means(frames, max(1, frames.shape[2] // SMALL_FRAME))
        changes = np.abs(np.diff(small, axis=1)).mean(axis=1)
        return np.concatenate((small.reshape(len(small), -1), changes.reshape(len(small), -1)), axis=1)


class PairFeatures:
    """The features of both sides of a pair, one beside the other."""

    def __init__(
        self,
        contents: Sequence[Content],
        first: Callable[[Sequence[Content]], Features],
        second: Callable[[Sequence[Content]], Features],
    ) -> None:
        columns = _sides(contents)
        self.sides = (first(columns[0]), second(columns[1]))

    @property
    def names(self) -> str:
        """Those of both."""
        return " beside ".join(side.names for side in self.sides)

    def matrix(self, contents: Sequence[Content]) -> Any:
        """Sparse: (rows, features)."""
        from scipy.sparse import csr_matrix, hstack

        tables = [side.matrix(column) for side, column in zip(self.sides, _sides(contents), strict=True)]
        return hstack([csr_matrix(table) for table in tables], format="csr")

    def classifier(self, strength: float, seed: int) -> Any:
        """One regression for all labels."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, max_iter=MAX_ITERATIONS, random_state=seed)

    def fitting_flops(self, classifier: Any, matrix: Any) -> float:
        """As of pixels, for numbers that are not zero."""
        outputs = classifier.coef_.shape[0]
        return 4.0 * int(classifier.n_iter_.max()) * outputs * (matrix.nnz + matrix.shape[0])


def _sides(contents: Sequence[Content]) -> tuple[list[Content], list[Content]]:
    """Each side as rows of its own."""
    pairs = pairs_in(contents)
    first: list[Content] = [(pair.first,) if isinstance(pair.first, str) else pair.first for pair in pairs]
    second: list[Content] = [
        (pair.second,) if isinstance(pair.second, str) else pair.second for pair in pairs
    ]
    return first, second


def is_unspaced(texts: Sequence[str]) -> bool:
    """Whether words run together: at least 30 % of the letters are Han, kana, Thai and the like."""
    letters = [letter for text in islice(texts, _SCRIPT_SAMPLE) for letter in text[:1000] if letter.isalpha()]
    unspaced = sum(unicodedata.name(letter, "").startswith(_UNSPACED_SCRIPTS) for letter in letters)
    return unspaced >= UNSPACED_SHARE * max(len(letters), 1)


def _vectorizers(texts: Sequence[str]) -> dict[str, Any]:
    """The kinds of features that fit the script of the texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    shared: dict[str, Any] = {"sublinear_tf": True, "min_df": 2 if len(texts) > LARGE_TRAINING_SET else 1}
    if is_unspaced(texts):
        return {"characters 1-3": TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **shared)}
    return {
        # The default token pattern drops words of one letter, which are whole words in many scripts, and cuts Indic
        # words at their vowel signs.
        "words 1-2": TfidfVectorizer(ngram_range=(1, 2), token_pattern=rf"(?u)[\w{marks()}]+", **shared),
        "characters 2-5": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **shared),
    }


def _joined(contents: Sequence[Content]) -> list[str]:
    return ["\n".join(filter(None, text)) for text in texts_in(contents)]


def _pixels(contents: Sequence[Content]) -> NDArray[np.float32]:
    pictures = arrays_in(contents)
    if max(pictures[0].shape[:2]) > LARGEST_SIDE:
        pictures = [_smaller(pixels) for pixels in pictures]
    return np.stack(pictures).reshape(len(pictures), -1).astype(np.float32)


def _block_means(frames: NDArray[np.uint8], block: int) -> NDArray[np.float32]:
    """(N, T, H, W, K) → (N, T, H / block, W / block, K); what is left over at the edges is left out."""
    count, times, height, width, channels = frames.shape
    rows, columns = height // block, width // block
    blocks = frames[:, :, : rows * block, : columns * block]
    blocks = blocks.reshape(count, times, rows, block, columns, block, channels)
    return blocks.mean(axis=(3, 5), dtype=np.float32)


def _smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return resized(pixels, (LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BOX)
