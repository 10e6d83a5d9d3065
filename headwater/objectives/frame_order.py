"""Frame order: the frames of a clip were shuffled; when was each?

Misra et al. 2016, arXiv:1603.08561, as a question to every frame. Shape letters: B clips, T frames, S slices of time, M
patches of a slice, N patches, P numbers of a patch, C width.
"""

import torch
from torch import Tensor, nn

from headwater.data.sequencers.patches import TUBELET, Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import Task
from headwater.objectives.reordering import ReorderedTask, Reordering


class FrameOrder(Reordering):
    """When in the clip was each frame?

    The map from a slice, the mean of its patches, to the times of its two frames is thrown away. A clip that looks
    the same backwards has two right answers, and only one of them counts.
    """

    name = "frame_order"
    lines = ("shuffled", "in order", "as it was")
    drawn_for = "order of frames"

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.patches, self.parts = patches, TUBELET * patches.slices
        self.answer = nn.Linear(width, TUBELET * self.parts)
        initialize(self.answer, seed=seed, name="objective.answer.classifier")

    def arranged(self, patches: Tensor, origins: Tensor) -> Tensor:
        """At each time the frame of ``origins`` (B, T) of the clip (B, N, P)."""
        clips, slices, channels = len(patches), self.patches.slices, self.patches.channels // TUBELET
        pairs = patches.view(clips, slices, -1, channels, TUBELET, self.patches.side**2)
        frames = pairs.permute(0, 1, 4, 2, 3, 5).flatten(1, 2)  # (B, T, M, K, side²)
        chosen = frames[torch.arange(clips)[:, None], origins]
        pairs = chosen.unflatten(1, (slices, TUBELET)).permute(0, 1, 3, 4, 2, 5)
        return pairs.reshape(patches.shape)

    def logits(self, model: Model, task: Task) -> Tensor:
        """From the mean of a slice's patches, for both of its frames: (B, T, T)."""
        slices = model.encode(task.batch)[:, 1:].unflatten(1, (self.patches.slices, -1)).mean(dim=2)
        return self.answer(slices).unflatten(2, (TUBELET, self.parts)).flatten(1, 2).float()

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Shuffled, in the order that the model finds likeliest frame by frame, and as it was."""
        assert isinstance(task, ReorderedTask)
        some = task.first(count)
        shuffled = some.batch.inputs[:, 1:]
        weights = torch.arange(self.parts, device=shuffled.device, dtype=torch.float32)
        expected = self.logits(model, some).softmax(dim=-1) @ weights
        return (
            shuffled,
            self.arranged(shuffled, expected.argsort(dim=1)),
            self.arranged(shuffled, some.origins.argsort(dim=1)),
        )
