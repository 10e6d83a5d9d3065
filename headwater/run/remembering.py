"""The forgetting check of a continued run: the parent's held-out documents, read before and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from headwater.data.batches import TokenBatches
from headwater.data.pool import Pool, kept_pool
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.errors import HeadwaterError
from headwater.evaluation.forgetting import Forgetting, forgetting
from headwater.models import Model
from headwater.objectives import Mixed
from headwater.run.choosing_objective import Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut, first_batches
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent
from headwater.training.plan import Learner

BATCHES = 32
BATCH_TOKENS = 1_024
"""Many small batches: they are what the interval of the change is taken over."""


@dataclass(frozen=True, slots=True)
class OldData:
    """Held-out batches of the data that the parent learnt from, and its loss on each.

    ``tasks`` are the pretext tasks that both share, where those are not all of both.
    """

    held_out: HeldOut
    before: Sequence[float]
    tasks: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        settings: RunSettings,
        parent: Parent | None,
        pretext: Pretext,
        learner: Learner,
        say: Callable[[str], None],
    ) -> "OldData | None":
        """Read them with the parent's weights, which the learner still has; where there are none, say why."""
        if parent is None:
            return None
        if not isinstance(parent.sequencer, Tokenizer):
            say("what the parent knew of pictures is not checked for forgetting")
            return None
        found = _old_knowledge(settings, parent, pretext)
        if isinstance(found, str):
            say(f"what the parent knew is not checked for forgetting: {found}")
            return None
        pool, tasks = found
        if tasks:
            say(f"what the parent knew is checked for forgetting by {' and '.join(tasks)}, which both learn")
        objective = learner.objective
        if isinstance(objective, Mixed) and tasks:
            objective = objective.only(tasks)
        device = next(learner.model.parameters()).device
        batches = TokenBatches(
            Windows(pool.validation, settings.training.length or 1),
            pool.tokenizer,
            tokens_per_batch=BATCH_TOKENS,
            seed=0,
            open_ends=pretext.needs == "past",
        )
        held_out = HeldOut.of(
            objective,
            first_batches(batches.batch, batches.batches_per_epoch(0), BATCHES),
            precision=settings.machine.precision or "fp32",
            device=torch.device(device),
        )
        return cls(held_out, _losses(held_out, learner.model), tasks)

    def forgotten(self, model: Model) -> Forgetting:
        """What the model has lost of them, or won."""
        return forgetting(self.before, _losses(self.held_out, model), self.tasks)


def _old_knowledge(
    settings: RunSettings, parent: Parent, pretext: Pretext
) -> tuple[Pool, Sequence[str]] | str:
    """The pool of the parent and the tasks that are not all of both, or the reason why there is nothing to compare."""
    folder = RunFolder(parent.path)
    try:
        facts = folder.read_json("data.json")
        learnt = folder.settings()
        known = Pretext.named(learnt.objective.name, learnt.data.paths).weights
    except HeadwaterError:
        return f"{parent.path} does not say what it learnt from"
    shared = [name for name in pretext.weights if name in known]
    if not shared:
        return f"{parent.path} learnt {learnt.objective.name}, and this run {settings.objective.name}"
    pool = kept_pool(str(facts.get("key")), settings.data.cache)
    if pool is None or not len(pool.validation):
        again = f"headwater pretrain --from {parent.path / 'settings.toml'}"
        return f"its held-out documents are no longer in the cache; {again} makes them anew"
    return pool, () if len(shared) == len(known) == len(pretext.weights) else shared


def _losses(held_out: HeldOut, model: Model) -> list[float]:
    was_training = model.training
    model.eval()
    losses = held_out.each(model)
    model.train(was_training)
    return losses
