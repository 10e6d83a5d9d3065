import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from headwater.errors import SettingsError
from headwater.training.averaging import LastWeights, WeightAverage, mean_of_weights


def _moved(model: nn.Module, step: int) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.full_like(parameter, 0.1 * (step + 1)))


def test_the_average_equals_torchs_once_its_decay_is_reached() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    ours = WeightAverage(model.named_parameters(), decay=0.9)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(model)  # the first call copies
    for step in range(200, 205):  # beyond the low decay of the beginning
        _moved(model, step)
        ours.update(step)
        theirs.update_parameters(model)
    for name, parameter in theirs.module.named_parameters():
        torch.testing.assert_close(ours.tensors()[name], parameter.detach())


def test_the_random_weights_of_the_beginning_are_soon_forgotten() -> None:
    model = nn.Linear(2, 2, bias=False)
    nn.init.constant_(model.weight, 100.0)
    average = WeightAverage(model.named_parameters(), decay=0.9999)
    nn.init.constant_(model.weight, 1.0)
    for step in range(60):
        average.update(step)
    assert float(average.tensors()["weight"].max()) < 1.1


def test_the_model_holds_the_average_inside_the_block_and_its_own_weights_after() -> None:
    model = nn.Linear(3, 3)
    average = WeightAverage(model.named_parameters(), decay=0.5)
    held = model.weight
    before = copy.deepcopy(model.state_dict())
    _moved(model, 0)
    own, mean = model.weight.detach().clone(), average.tensors()["weight"].clone()
    with pytest.raises(ZeroDivisionError), average.in_place():
        assert torch.equal(model.weight, mean)
        assert torch.equal(model.weight, before["weight"])
        raise ZeroDivisionError
    assert torch.equal(model.weight, own)
    assert torch.equal(average.tensors()["weight"], mean)
    assert model.weight is held  # the optimiser's parameter, not a stand-in


def test_a_restored_average_goes_on_where_it_was() -> None:
    model = nn.Linear(3, 3)
    straight = WeightAverage(model.named_parameters(), decay=0.9)
    straight.update(0)
    again = WeightAverage(model.named_parameters(), decay=0.9)
    again.restore({name: tensor.clone() for name, tensor in straight.tensors().items()})
    _moved(model, 1)
    straight.update(1)
    again.update(1)
    assert torch.equal(straight.tensors()["weight"], again.tensors()["weight"])


def test_the_average_of_another_model_is_refused() -> None:
    average = WeightAverage(nn.Linear(3, 3).named_parameters())
    with pytest.raises(SettingsError, match="other parameters than the model"):
        average.restore({"weight": torch.zeros(3, 3)})


@pytest.mark.parametrize("saved", [{"4/weight": torch.zeros(3, 3)}, {"weight": torch.zeros(3, 3)}])
def test_the_last_weights_of_another_model_are_refused(saved: dict[str, torch.Tensor]) -> None:
    average = LastWeights(nn.Linear(3, 3).named_parameters(), count=2, every=1, steps=4)
    with pytest.raises(SettingsError, match="other parameters than the model"):
        average.restore(saved)


def test_the_mean_of_checkpoints_is_the_mean_and_whole_numbers_are_the_last() -> None:
    checkpoints = [{"w": torch.full((2,), float(n)), "n": torch.tensor(n)} for n in (1, 2, 6)]
    mean = mean_of_weights(checkpoints)
    assert torch.equal(mean["w"], torch.full((2,), 3.0))
    assert mean["n"] == 6
