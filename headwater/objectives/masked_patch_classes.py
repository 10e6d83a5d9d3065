"""Classes of masked patches: which of some typical patches stood where one was hidden?

Bao et al. 2022 (BEiT), arXiv:2106.08254, with the centres of k-means over patches (Lloyd 1982,
doi:10.1109/TIT.1982.1056489) as the classes. Shape letters: B pictures, N patches, S patches in sight, P numbers of a
patch, V classes, C width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.data.sequencers.codes import CODES, typical
from headwater.data.sequencers.patches import Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.hiding_patches import Hiding, HidingTask, hidden_states, taken
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective
from headwater.randomness import Draws
from headwater.sequence import Batch

_UNSEEN = 0.5
"""Added to the count of each class, so that none is impossible."""


class MaskedPatchClasses(PictureObjective):
    """Σ over hidden patches of -log p(its class | the patches in sight); its class is the nearest centre.

    ``masked_patch_classes_guessed`` is the same for whoever knows only how often each class occurs; it weighs nothing.
    Centres, the vector of what is hidden and the map to classes are thrown away.
    """

    name = "masked_patch_classes"
    lines = ("in sight", "likeliest", "all in classes", "as it was")

    def __init__(
        self, patches: Patches, width: int, sample: Tensor, *, share: float = 0.6, seed: int = 0
    ) -> None:
        super().__init__()
        self.hiding = Hiding(patches.count, share)
        centres = typical(sample.flatten(0, -2), CODES, seed)
        self.register_buffer("centres", centres)
        self.centres: Tensor
        counts = torch.bincount(self.classes(sample).flatten(), minlength=len(centres)) + _UNSEEN
        self.register_buffer("surprise", -(counts / counts.sum()).log())
        self.surprise: Tensor
        self.missing = nn.Embedding(1, width)
        self.answer = nn.Linear(width, len(centres))
        initialize(self.missing, seed=seed, name="objective.missing")
        initialize(self.answer, seed=seed, name="objective.answer.classifier")

    def classes(self, patches: Tensor) -> Tensor:
        """The number of the nearest centre: (…, P) → (…)."""
        return torch.cdist(patches, self.centres).argmin(dim=-1)

    def prepare(self, batch: Batch, draws: Draws) -> HidingTask:
        """Hide patches of each picture."""
        task = self.hiding.of(batch, draws, self.name)
        count = task.hidden.numel()
        return HidingTask(batch, {self.name: count, f"{self.name}_guessed": count}, task.seen, task.hidden)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the classes, and that of their frequencies."""
        assert isinstance(task, HidingTask)
        logits = self.answer(hidden_states(model, task, self.missing)).float()
        targets = self.classes(taken(task.batch.inputs, task.hidden)).flatten()
        guessed, usual = self.surprise[targets], self.surprise.argmin()
        return (
            LossTerm(
                self.name,
                F.cross_entropy(logits, targets, reduction="sum"),
                len(targets),
                right=(logits.argmax(dim=-1) == targets).sum(),
            ),
            LossTerm(
                f"{self.name}_guessed",
                guessed.sum(),
                len(targets),
                weight=0.0,
                right=(targets == usual).sum(),
            ),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """What was in sight, the likeliest centres where something was hidden, all in centres, and as it was."""
        assert isinstance(task, HidingTask)
        some = task.first(count)
        true = some.batch.inputs[:, 1:]
        found = self.centres[self.answer(hidden_states(model, some, self.missing)).argmax(dim=-1)]
        found = found.view(*some.hidden.shape, -1)
        places = (some.hidden - 1)[..., None].expand_as(found)
        return (
            true.scatter(1, places, 0.0),
            true.scatter(1, places, found),
            self.centres[self.classes(true)],
            true,
        )
