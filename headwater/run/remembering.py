"""The forgetting check of a continued run: the parent's held-out documents, read before and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwater.data.batches import BatchStream, TokenBatches
from headwater.data.media_pool import MediaPool, kept_media_pool
from headwater.data.picture_batches import PictureBatches
from headwater.data.pool import kept_pool
from headwater.data.sequencers import Patches, Sequencing, Sides
from headwater.data.windows import Windows
from headwater.errors import HeadwaterError
from headwater.evaluation.forgetting import Forgetting, forgetting
from headwater.models import Model
from headwater.objectives import Mixed
from headwater.run.choosing_objective import Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut, first_batches
from headwater.run.matter import Matter
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent
from headwater.run.thrown_away import begin_with_parts
from headwater.training.plan import Learner

BATCHES = 32
BATCH_TOKENS = 1_024
"""Many small batches: they are what the interval of the change is taken over."""
BATCH_ROWS = 16
FEWEST_ROWS = 2
"""Of a batch; one alone could not be told from others."""
FEWEST_BATCHES = 4
"""Of fewer an interval says nothing."""


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
        matter: Matter,
        learner: Learner,
        say: Callable[[str], None],
    ) -> "OldData | None":
        """Read them with the parent's weights, which the learner still has; where there are none, say why.

        The pretext task begins with what it had of its own in the parent: a decoder that has learnt nothing would be
        taken for a model that forgot.
        """
        if parent is None:
            return None
        begun_anew = begin_with_parts(learner.objective, parent, settings)
        found = _old_batches(settings, parent, pretext, matter.sequencer)
        if isinstance(found, str):
            say(f"what the parent knew is not checked for forgetting: {found}")
            return None
        batches, tasks = found
        objective = learner.objective
        if isinstance(objective, Mixed) and tasks:
            objective = objective.only(tasks)
        if begun_anew and objective.state_dict():
            say(f"what the parent knew is not checked for forgetting: {begun_anew}")
            return None
        if tasks:
            say(f"what the parent knew is checked for forgetting by {' and '.join(tasks)}, which both learn")
        if (count := batches.batches_per_epoch(0)) < FEWEST_BATCHES:
            say(
                "what the parent knew is not checked for forgetting: what it held out makes "
                f"{count} small batch(es), and of fewer than {FEWEST_BATCHES} nothing can be told"
            )
            return None
        held_out = HeldOut.of(
            objective,
            first_batches(batches.batch, batches.batches_per_epoch(0), BATCHES),
            precision=settings.machine.precision or "fp32",
            device=next(learner.model.parameters()).device,
        )
        return cls(held_out, _losses(held_out, learner.model), tasks)

    def forgotten(self, model: Model) -> Forgetting:
        """What the model has lost of them, or won."""
        return forgetting(self.before, _losses(self.held_out, model), self.tasks)


def _old_batches(
    settings: RunSettings, parent: Parent, pretext: Pretext, sequencer: Sequencing
) -> tuple[BatchStream, Sequence[str]] | str:
    """Held-out batches of what the parent learnt from and the tasks that are not all of both, or why there are none."""
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
    tasks = () if len(shared) == len(known) == len(pretext.weights) else shared
    key, cache = str(facts.get("key")), settings.data.cache
    again = f"headwater pretrain --from {parent.path / 'settings.toml'} makes them anew"
    if isinstance(sequencer, Sides):
        return "pairs are not"
    if isinstance(sequencer, Patches):
        found = kept_media_pool(key, cache)
        if found is None or not len(found.validation):
            return f"its held-out {facts.get('what')} are no longer in the cache; {again}"
        pictures = _old_pictures(found, sequencer)
        return pictures if isinstance(pictures, str) else (pictures, tasks)
    pool = kept_pool(key, cache)
    if pool is None or not len(pool.validation):
        return f"its held-out documents are no longer in the cache; {again}"
    length = settings.training.length or 1
    windows = Windows(pool.validation, length)
    batches = TokenBatches(
        windows,
        pool.tokenizer,
        tokens_per_batch=max(length, BATCH_TOKENS),
        max_rows=max(FEWEST_ROWS, len(windows) // BATCHES),
        seed=0,
        open_ends=pretext.needs == "past",
    )
    return batches, tasks


def _old_pictures(pool: MediaPool, patches: Patches) -> PictureBatches | str:
    """Small batches, as the parent's pictures are; they are read as this run reads."""
    shape = (patches.height, patches.width, patches.channels)
    if pool.validation.shape[1:] != shape:
        return "it read them in another size"
    rows = max(FEWEST_ROWS, min(BATCH_ROWS, len(pool.validation) // BATCHES))
    return PictureBatches(pool.validation, patches, rows=rows, seed=0)


def _losses(held_out: HeldOut, model: Model) -> list[float]:
    was_training = model.training
    model.eval()
    losses = held_out.each(model)
    model.train(was_training)
    return losses
