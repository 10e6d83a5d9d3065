"""What gain --set may say."""

import pytest

from headwater.errors import SettingsError
from headwater.experiments.cell_settings import HEARD, cell_settings


def test_what_every_cell_hears_is_taken() -> None:
    settings = cell_settings(["training.steps=7", "model.dropout=0.2", "machine.threads=1"])
    assert (settings.training.steps, settings.model.shares, settings.machine.threads) == (
        7,
        {"dropout": 0.2},
        1,
    )
    assert settings.training.schedule == "linear"


@pytest.mark.parametrize(
    "assigned",
    [
        *("training.learning_rate=7", "training.seed=3", "training.minutes=0.01", "training.adapt=lora"),
        *("training.average=last", "training.early_stopping=2", "training.evaluation_steps=5"),
        *("model.width=64", "model.backbone=recurrent", "machine.compile=true", "start_from=nowhere"),
        *("task=tagging", "data.probe=rows.csv", "adapter.rank=2", "objective.kept=0.5"),
    ],
)
def test_what_a_cell_would_pass_over_is_refused(assigned: str) -> None:
    with pytest.raises(SettingsError, match=r"is not a setting of gain, .* choose among model\.dropout, "):
        cell_settings([assigned])


def test_what_there_is_not_is_said_as_everywhere() -> None:
    with pytest.raises(SettingsError, match=r"did you mean 'steps'"):
        cell_settings(["training.step=7"])
    assert len(set(HEARD)) == len(HEARD)
