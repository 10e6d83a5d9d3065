"""A classifier written from words: the vector of each class's name is a row of its last map.

Radford et al. 2021, section 3.1, arXiv:2103.00020; fine-tuned from there on labelled rows: Wortsman et al. 2022,
arXiv:2109.01903. Shape letters: K classes, J joint width, C width.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headwater.data.cutting import cut_like
from headwater.data.sequencers import Patches, Sides, Tokenizer, side_of
from headwater.data.vector_store import unit
from headwater.errors import SettingsError, UsageError
from headwater.models import Bundle, Model, Tower, TwoTowers, load_bundle
from headwater.nn.heads import SequenceHead
from headwater.run.fitting import Input, encode, inputs_of
from headwater.run.folder import RunFolder
from headwater.run.journey import Journey
from headwater.run.labelled import LabelledData
from headwater.run.learning import agreed_machine, use_machine
from headwater.run.reading import Reader
from headwater.run.settings import RunSettings
from headwater.run.shipping import ship_finetuned
from headwater.run.starting import StartingPoint, model_folder, one_side, sequencer_of
from headwater.training import distributed
from headwater.training.progress import Progress

TEMPLATE = "{}"
"""What is said of a class where nobody says more: its name."""
MEASURED = 1024
"""Rows on which the length of a vector is measured."""


def carry_on_zero_shot(folder: RunFolder, progress: Progress) -> None:
    """Write the classifier of the labels that the user's rows carry; nothing is trained."""
    settings = agreed_machine(folder.settings(), distributed.start())
    use_machine(settings.machine)
    if settings.start_from is None:
        raise UsageError("zero_shot begins with a run of pairs of which one side is text; found 'scratch'")
    bundle = load_bundle(model_folder(Path(settings.start_from)))
    readers = _Readers.of(bundle, settings)
    data = LabelledData.read(settings.data, "zero_shot", cut_like(readers.patches))
    folder.write_json("data.json", data.facts())
    progress.say("\n".join(data.remarks()))
    texts = texts_of(data.train.labels, settings.data.template, settings.data.names)
    progress.say("classes in words: " + "; ".join(", ".join(of_class) for of_class in list(texts)[:8]))
    start = StartingPoint.of_run(settings.start_from, data=settings.data.paths)
    rows = inputs_of([row.content for row in data.train.examples[:MEASURED]], start.sequencer)
    weights = readers.weights(texts, rows)
    model = start.model("classification", seed=0, classes=len(texts), pooling=readers.pooling)
    head = model.heads["classification"]
    assert isinstance(head, SequenceHead)
    with torch.no_grad():
        head.classifier.weight.copy_(weights)
        head.classifier.bias.zero_()
    settings = settings.having(training={"length": start.length})
    folder.write_settings(settings)
    ship_finetuned(folder, model, start, settings, Journey(), data)


def texts_of(
    labels: Sequence[str], template: str | None = None, names: Sequence[str] | None = None
) -> list[list[str]]:
    """What is said of each class: its name in every template, of which several are parted by ``|``.

    ``names`` say another name for a label, as in ``back=seen from behind``.
    """
    named = dict(part.split("=", 1) for part in names or () if "=" in part)
    if strange := sorted({part.split("=", 1)[0] for part in names or ()} - set(labels)) or [
        part for part in names or () if "=" not in part
    ]:
        raise SettingsError(
            f"data.names holds '{strange[0]}'; expected LABEL=NAME with labels of the rows: {', '.join(labels[:8])}"
        )
    templates = [part.strip() for part in (template or TEMPLATE).split("|")]
    for part in templates:
        if part.count("{}") != 1:
            raise SettingsError(
                f"data.template = '{part}'; expected a text with {{}} once, in the place of the class's name"
            )
    return [[part.replace("{}", named.get(label, label)) for part in templates] for label in labels]


class _Readers:
    """Both sides of a run of pairs: one reads the user's rows, the other the names of the classes."""

    def __init__(self, bundle: Bundle, sides: Sides, place: int) -> None:
        towers = bundle.model.backbone
        assert isinstance(towers, TwoTowers)
        self.towers, self.place = towers.eval(), place
        patches, words = ((sides.first, sides.second)[number] for number in (place, 1 - place))
        assert isinstance(patches, Patches)
        assert isinstance(words, Tokenizer)
        self.patches, self.words = patches, words
        self.length = int(bundle.card.get("length") or 64)

    @classmethod
    def of(cls, bundle: Bundle, settings: RunSettings) -> "_Readers":
        """Refuse a run that does not read pairs with a text, and rows that are texts themselves."""
        sides = sequencer_of(bundle)
        if not isinstance(sides, Sides) or sides.text is None:
            raise UsageError(
                f"{settings.start_from} does not read pairs of which one side is text, and zero_shot reads the names "
                "of classes; pre-train one: headwater pretrain PAIRS.tsv --objective pair_contrast"
            )
        _, sequencer, tower, _ = one_side(bundle, settings.data.paths)
        if isinstance(sequencer, Tokenizer) or tower is None:
            other = next(side_of(side) for side in (sides.first, sides.second) if isinstance(side, Patches))
            raise UsageError(
                f"{settings.data.paths[0]} holds text; zero_shot tells classes of {other} by their names: name a "
                "folder or a table of these"
            )
        return cls(bundle, sides, sides.place(side_of(sequencer), settings.start_from))

    @property
    def pooling(self) -> str:
        """How the tower of the rows makes one vector of many."""
        settings = self.towers.settings
        return (settings.first_pooling, settings.second_pooling)[self.place]

    def weights(self, texts: Sequence[Sequence[str]], rows: Sequence[Input]) -> Tensor:
        """The map whose answers are s · cos(row, class), but that all rows count as equally long: (K, C)."""
        tower, other = (
            (self.towers.first, self.towers.second)[number] for number in (self.place, 1 - self.place)
        )
        of_texts = Reader(model=Model(other.stack), sequencer=self.words, length=self.length, tower=other)
        classes = np.stack(
            [
                unit(unit(of_texts.vectors(encode(some, self.words))).mean(axis=0, keepdims=True))[0]
                for some in texts
            ]
        )
        length = self._length(tower, rows)
        with torch.no_grad():
            scale = self.towers.scale()
            return scale / length * torch.from_numpy(classes) @ tower.projection.weight

    def _length(self, tower: Tower, rows: Sequence[Input]) -> float:
        """How long the vectors of rows are, before they are brought to length 1."""
        reader = Reader(model=Model(tower.stack), sequencer=self.patches, length=self.patches.length)
        long = reader.of_every_row(
            lambda batch: tower.projection(tower.pooling(reader.model.encode(batch), batch.layout)).norm(
                dim=-1, keepdim=True
            ),
            rows,
        )
        return float(long.mean())
