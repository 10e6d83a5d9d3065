"""A slow copy of a model, which says what a whole example is to a student that reads it with gaps.

Shape letters: B rows, T tokens or patches, N places, C width.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.model import Model
from headwater.sequence import SequenceLayout


class SlowTeacher(nn.Module):
    """θ' ← d·θ' + (1 − d)·θ with d = min(``decay``, (1 + k) / (10 + k)) after step k; θ' are the teacher's weights.

    Source: Baevski et al. 2022, section 3.3, arXiv:2202.03555.
    """

    def __init__(self, backbone: Backbone, *, decay: float = 0.999, layers: int = 3) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise SettingsError(f"decay = {decay} of the teacher; expected 0 to below 1, like 0.999")
        self.decay, self.layers = decay, layers
        self.backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.steps: Tensor

    @torch.no_grad()
    def follow(self, model: Model) -> None:
        """Take a small step towards the student."""
        count = int(self.steps)
        weight = 1.0 - min(self.decay, (1 + count) / (10 + count))
        teacher: list[Tensor] = [parameter.data for parameter in self.backbone.parameters()]
        student: list[Tensor] = [parameter.data for parameter in model.backbone.parameters()]
        torch._foreach_lerp_(teacher, student, weight)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]
        self.steps += 1

    @torch.no_grad()
    def targets(self, inputs: Tensor, layout: SequenceLayout, places: Tensor) -> Tensor:
        """The mean over the last ``layers`` blocks of the normalised states at ``places`` (N,) of the flattened rows:
        (N, C)."""
        self.backbone.eval()
        states = self.backbone.layers(self.backbone.embed(inputs, layout), layout)
        chosen = [state.flatten(0, 1)[places].float() for state in states[-self.layers :]]
        width = (chosen[0].shape[-1],)
        mean = torch.stack([F.layer_norm(state, width) for state in chosen]).mean(dim=0)
        return F.layer_norm(mean, width)
