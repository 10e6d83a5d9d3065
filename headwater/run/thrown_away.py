"""What a pretext task had of its own and did not ship: a decoder, a classifier of turns, a teacher."""

from collections.abc import Mapping

from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.objectives import Objective
from headwater.run.folder import RunFolder
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent
from headwater.training.checkpoint import CheckpointFolder, restore_module


def thrown_away(folder: RunFolder) -> Mapping[str, Tensor] | None:
    """Its tensors when the shipped weights were taken, from the run's checkpoints; None where these are gone."""
    shipped = folder.read_json("model/headwater.json").get("trained", {}).get("shipped_step")
    store = CheckpointFolder(folder.checkpoints)
    for checkpoint in (store.newest(), store.best()):
        if checkpoint is not None and checkpoint.step == shipped:
            return checkpoint.tensors("objective")
    return None


def begin_with_parts(objective: Objective, parent: Parent, settings: RunSettings) -> str:
    """Give the pretext task of a run that goes on what it had of its own in the parent; why it begins anew, or ""."""
    if not objective.state_dict():
        return ""
    folder = RunFolder(parent.path)
    try:
        if folder.settings().objective.name != settings.objective.name:
            return f"{parent.path} learnt another pretext task"
        parts = thrown_away(folder)
        if parts is None:
            return f"what answered its pretext task is no longer in {folder.checkpoints}"
        restore_module(objective, parts)
    except HeadwaterError:
        return f"{parent.path} had a pretext task of other parts"
    return ""
