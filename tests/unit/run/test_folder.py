"""What a run's folder remembers."""

from pathlib import Path
from typing import Any

import pytest

from headwater.data.cutting import SoundCut
from headwater.run.folder import RunFolder
from headwater.run.settings import DataSettings, RunSettings

NOW = SoundCut(8_000, 64, 8).to_dict()
BEFORE = {name: value for name, value in NOW.items() if name != "full_volume"}


@pytest.mark.parametrize(
    ("facts", "volume"),
    [
        ({"cut": BEFORE}, False),
        ({"cut": NOW}, None),
        ({"cuts": [None, BEFORE]}, False),
        ({"cuts": [None, NOW]}, None),
        ({"cut": {"modality": "image", "side": 32}}, None),
        ({"texts": 3}, None),
        (None, None),
    ],
)
def test_a_run_goes_on_at_the_volume_that_it_began_with(
    tmp_path: Path, facts: dict[str, Any] | None, volume: bool | None
) -> None:
    folder = RunFolder(tmp_path)
    folder.write_settings(RunSettings(kind="pretrain", data=DataSettings(paths=("calls",))))
    if facts is not None:
        folder.write_json("data.json", facts)
    assert folder.settings().data.full_volume is volume
