"""From settings to what the loop takes: a learner, a plan, a prepared machine."""

import dataclasses

import torch
from torch import nn

from headwater.errors import SettingsError
from headwater.models import Backbone, EncoderDecoder, Model, TwoTowers
from headwater.models.adapter_file import published_rows
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.nn.adapters import adapt
from headwater.nn.attention import Attend
from headwater.nn.block import Block
from headwater.nn.heads import TiedDecoder
from headwater.objectives import Objective
from headwater.objectives.objective import Reads
from headwater.run.deriving import derive_machine
from headwater.run.settings import MachineSettings, RunSettings, TrainingSettings
from headwater.run.starting import base_of
from headwater.training.averaging import Average, LastWeights, WeightAverage
from headwater.training.distributed import World
from headwater.training.optimizers import build_optimizer, depths, freeze_below, fused_rows
from headwater.training.plan import Learner, Plan
from headwater.training.precision import (
    look_at_machine,
    tune_allocator,
    use_deterministic_algorithms,
    use_threads,
)
from headwater.training.schedules import build_schedule


def use_machine(settings: MachineSettings) -> torch.device:
    """Set threads, allocator and determinism as the run decided; the device that it trains on."""
    device = _device(settings.device or "cpu")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "this run was decided for a CUDA device and there is none here; run it where there is one, or start "
            "a new run: the two would not give the same bits"
        )
    tune_allocator()
    use_threads(settings.threads or 1)
    use_deterministic_algorithms(device.type, compiled=bool(settings.compile))
    return device


def agreed_machine(settings: RunSettings, world: World) -> RunSettings:
    """Device, threads and precision decided on rank 0 for all: a resumed run cannot tell the ranks apart."""
    decided = derive_machine(settings, look_at_machine(settings.machine.device))
    return RunSettings.from_mapping(world.gather(decided.to_mapping())[0])


def set_activation_checkpointing(model: Model, training: TrainingSettings) -> None:
    """Trade time for memory where the settings ask for it."""
    transformers = (TransformerBackbone, TransformerEncoderDecoder)
    found = [part for part in model.backbone.modules() if isinstance(part, transformers)]
    if training.activation_checkpointing and not found:
        raise SettingsError(
            f"training.activation_checkpointing is for Transformers, and this is a {type(model.backbone).__name__}; "
            "leave it out, or choose model.backbone=transformer"
        )
    for part in found:
        part.checkpoint_activations = training.activation_checkpointing


def compile_blocks(model: Model, settings: MachineSettings) -> None:
    """Where the settings ask for it, every block's arithmetic becomes a few generated kernels, for rows of any length.

    Attention stays as it is: its kernels are fused already, and what they derive from a layout is shared by all blocks.
    """
    if not settings.compile:
        return
    for part in model.backbone.modules():
        if isinstance(part, Attend):
            part.forward = torch.compiler.disable(part.forward)  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(part, Block):
            part.compile(dynamic=True)


def fits(backbone: Backbone, needs: Reads) -> bool:
    """True for a backbone of the kind that an objective needs."""
    match needs:
        case "source":
            return isinstance(backbone, EncoderDecoder)
        case "sides":
            return isinstance(backbone, TwoTowers)
        case _:
            return not isinstance(backbone, TwoTowers) and needs in ("any", backbone.reads)


def refuse_parts(name: str, training: TrainingSettings) -> None:
    """A batch whose examples are compared with each other cannot be cut into parts."""
    if (training.micro_batches or 1) > 1:
        raise SettingsError(
            f"{name}: one of these compares the examples of a batch with each other beside another pretext task, and "
            f"training.micro_batches = {training.micro_batches} cuts the batch into parts; leave it out and run in one "
            "process, or choose one of the two"
        )


def refuse_long_rows(model: Model, training: TrainingSettings) -> None:
    """Rows longer than the positions that a model learns, before the first of them is read."""
    most, length = model.backbone.longest_row, training.length
    if most is not None and length is not None and length > most:
        raise SettingsError(
            f"training.length = {length}, and the model learns a vector for each of {most} positions; choose {most} or "
            "less, or a model with other positions"
        )


def weight_average(model: Model, training: TrainingSettings) -> Average | None:
    """The average of the weights that the settings ask for; what is thrown away later has no part in it."""
    match training.average:
        case "exponential":
            return WeightAverage(model.named_parameters())
        case "last":
            assert training.steps and training.average_last and training.average_steps, "derived by then"
            return LastWeights(
                model.named_parameters(),
                count=training.average_last,
                every=training.average_steps,
                steps=training.steps,
            )
        case "none" | None:
            return None


def _device(name: str) -> torch.device:
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise SettingsError(f"machine.device = '{name}'; expected cpu or cuda (cuda:1 for the second GPU)")
    return torch.device(name)


def build_learner(model: Model, objective: Objective, training: TrainingSettings) -> Learner:
    """The model and its objective, on the model's device, with an optimiser over everything that is to be learnt."""
    objective.to(next(model.parameters()).device)
    if training.adapt == "head":
        model.backbone.requires_grad_(False)
    optimizer = build_optimizer(
        training.optimizer,
        named_parameters(model, objective),
        learning_rate=training.learning_rate or 1e-3,
        weight_decay=training.weight_decay or 0.0,
        layer_decay=training.layer_decay,
        fused_rows={f"model.{name}": rows for name, rows in fused_rows(model).items()},
    )
    return Learner(model, objective, optimizer)


def adapted(model: Model, settings: RunSettings) -> None:
    """Where the settings ask for low-rank corrections, freeze the backbone and add them."""
    if settings.training.adapt != "lora":
        return
    adapt(
        model.backbone,
        rank=settings.adapter.rank,
        alpha=settings.adapter.alpha,
        rows=published_rows(model, base_of(settings.start_from)),
        seed=settings.training.seed,
    )
    for head in model.heads.modules():
        if isinstance(head, TiedDecoder):  # beside the frozen table of tokens: peft has no module for it
            head.requires_grad_(False)


def thawing(learner: Learner, training: TrainingSettings) -> Learner:
    """Where the settings ask for it, a learner that unfreezes block by block, the last one first."""
    if training.adapt != "gradual":
        return learner
    known = named_parameters(learner.model, learner.objective)
    top = max(depths([name for name, _ in known]).values())
    steps = training.steps or 1

    def thaw(step: int) -> None:
        freeze_below(known, top - step * (top + 1) // steps)

    return dataclasses.replace(learner, thaw=thaw)


def named_parameters(model: Model, objective: Objective) -> list[tuple[str, nn.Parameter]]:
    """Every parameter of a learner, under a name that lasts from one process to the next."""
    owners = (("model", model), ("objective", objective))
    return [
        (f"{owner}.{name}", parameter)
        for owner, part in owners
        for name, parameter in part.named_parameters()
    ]


def build_plan(settings: RunSettings, device: torch.device, world: World) -> Plan:
    """The plan of a run whose number of steps is known."""
    training = settings.training
    assert training.steps is not None, "the number of steps is decided before the plan"
    if world.size > (training.micro_batches or 1):
        raise SettingsError(
            f"training.micro_batches = {training.micro_batches or 1} leaves some of the {world.size} processes without "
            f"work; choose a multiple: --set training.micro_batches={world.size}"
        )
    schedule = build_schedule(
        training.schedule or "linear",
        steps=training.steps,
        warmup_steps=training.warmup_steps or 0,
        decay_steps=training.decay_steps,
    )
    return Plan(
        steps=training.steps,
        seed=training.seed,
        schedule=schedule,
        micro_batches=training.micro_batches or 1,
        clip=training.clip,
        precision=settings.machine.precision or "fp32",
        device=device,
        prefetch=settings.machine.prefetch,
        world=world,
    )
