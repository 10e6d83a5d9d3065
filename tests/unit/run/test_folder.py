"""What a run's folder remembers."""

from pathlib import Path
from typing import Any

import pytest

from headwater.data.cutting import SoundCut
from headwater.errors import BadDataError
from headwater.run.folder import RunFolder, environment
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


def begun(path: Path) -> RunFolder:
    folder = RunFolder(path)
    (folder.checkpoints / "step-3").mkdir(parents=True)
    return folder


def test_a_begun_run_keeps_to_its_data(tmp_path: Path) -> None:
    sources = [{"path": name, "digest": name * 2} for name in "abc"]
    folder = begun(tmp_path)
    folder.write_data({"key": "x", "sources": sources})
    folder.write_data({"key": "x", "sources": sources})
    changed = [sources[0], {"path": "b", "digest": "?"}, {"path": "d", "digest": "d"}]
    with pytest.raises(BadDataError, match=r"other data than stand there now \(b and 2 more\)"):
        folder.write_data({"key": "y", "sources": changed})
    assert folder.read_json("data.json") == {"key": "x", "sources": sources}


def test_the_same_data_under_a_key_that_another_version_made_are_taken(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    facts = {"sources": [{"path": "a", "digest": "aa"}], "documents": 3}
    folder.write_data({"key": "x", **facts})
    folder.write_data({"key": "y", **facts})
    assert folder.read_json("data.json")["key"] == "y"
    with pytest.raises(BadDataError, match="other data"):
        folder.write_data({"key": "z", **facts, "documents": 4})


def test_without_the_content_of_each_file_another_key_is_other_data(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    facts = {"sources": [{"path": "pictures", "files": 3}], "items": 3}
    folder.write_data({"key": "x", **facts})
    with pytest.raises(BadDataError, match="other data"):
        folder.write_data({"key": "y", **facts})


def test_a_run_that_has_not_begun_takes_the_data_of_now(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_data({"key": "x"})
    folder.write_data({"key": "y"})
    assert folder.read_json("data.json") == {"key": "y"}


def test_a_run_of_before_has_no_key_to_compare(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.write_json("data.json", {"train": 3})
    folder.write_data({"key": "y"})
    assert folder.read_json("data.json") == {"key": "y"}


def test_another_machine_is_noticed(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    here = environment()
    folder.write_json("environment.json", here)
    assert folder.moved() == ""
    folder.write_json("environment.json", here | {"processor": "abacus", "headwater": "0.0.1"})
    assert folder.moved().startswith("begun elsewhere (processor abacus then, ")
    assert "headwater 0.0.1 then" in folder.moved()
    (folder.checkpoints / "step-3").rmdir()
    assert folder.moved() == ""
