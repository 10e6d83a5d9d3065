"""Fine-tuning on rows that are pairs: how both sides are read, and two towers that begin with them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from headwater.data.array_file import Apart
from headwater.data.cutting import cut_like
from headwater.data.examples import LabelledSet, Thing
from headwater.data.pair_cut import PairCut, RowCut
from headwater.data.pair_rows import Pairing
from headwater.data.pool import vocabulary_size_for
from headwater.data.sequencers import Patches, Sequencing, Sides, Tokenizer
from headwater.errors import UsageError
from headwater.models.tower_sizes import two_tower_settings
from headwater.run.pairs import TEXT_LENGTH, cuts_like, cuts_of, refuse_overrides, shape_of
from headwater.run.settings import RunSettings
from headwater.run.starting import StartingPoint


def pair_cut(settings: RunSettings, known: Sequencing | None) -> PairCut:
    """How both sides of labelled rows are read: as the run that is begun from does, or as they suggest."""
    pairing, sides = Pairing.of(settings.data.pair, settings.data.text), None
    if known is not None:
        assert isinstance(known, Sides)
        sides, pairing = known, _read_by(known, pairing)
    kinds = pairing.sides
    assert kinds is not None, "--pair names two"
    return PairCut(kinds, cuts_of(kinds, settings, sides), pairing.columns)


def cut_of_rows(known: Patches | Sides, pair: Sequence[str] | None, text: Sequence[str] | None) -> RowCut:
    """How a model reads rows that are no texts alone; ``pair`` and ``text`` say where both sides stand."""
    if isinstance(known, Patches):
        return cut_like(known)
    pairing = _read_by(known, Pairing.of(pair, text))
    return PairCut(known.kinds, cuts_like(known), pairing.columns)


def _read_by(known: Sides, pairing: Pairing) -> Pairing:
    """The same in the order of a model's sides; UsageError where it reads other things."""
    if set(pairing.sides or ()) != set(known.kinds):
        raise UsageError(
            f"--pair names {' and '.join(pairing.sides or ())}, and the run reads {' and '.join(known.kinds)}: name "
            f"these: --pair {','.join(known.kinds)}"
        )
    return replace(pairing, sides=known.kinds)


def fresh_towers(settings: RunSettings, rows: LabelledSet, check: Callable[[], None]) -> StartingPoint:
    """Two towers that have learnt nothing, for rows of which both sides are known."""
    refuse_overrides(settings)
    cut = PairCut.from_dict(rows.facts["cut"])
    pairs = [row.both for row in rows.examples if row.both is not None]
    columns = ([pair.first for pair in pairs], [pair.second for pair in pairs])
    ways: list[Tokenizer | Patches] = []
    for things, one in zip(columns, cut.cuts, strict=True):
        if one is None:
            ways.append(_words(things, settings.model.vocabulary_size, check))
        else:
            ways.append(one.patches(Apart([thing for thing in things if not isinstance(thing, str)])))
    sides = Sides(*ways)
    size, length = settings.model.size, settings.training.length or TEXT_LENGTH
    towers = two_tower_settings(size, shape_of(sides.first), shape_of(sides.second), text_length=length)
    return StartingPoint(towers, sides, {"size": size, "length": length})


def _words(things: list[Thing], size: int | None, check: Callable[[], None]) -> Tokenizer:
    texts = [str(thing) for thing in things]
    return Tokenizer.learn_for_pairs(
        texts, size or vocabulary_size_for(sum(map(len, texts))), lambda *_: check()
    )
