"""The command line starts at once: nothing heavy is imported before a verb runs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

HEAVY = (
    *("torch", "numpy", "pyarrow", "sklearn", "matplotlib", "tokenizers", "transformers"),
    *("rich", "pydantic"),
)


def modules_after(code: str, **environment: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return set(done.stderr.splitlines())


def running(*arguments: str) -> str:
    return f"""
import sys
sys.argv = ["headwater", *{arguments!r}]
from headwater.cli.app import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
"""


def test_importing_headwater_imports_nothing_heavy() -> None:
    assert not modules_after("import headwater") & set(HEAVY)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["pretrain", "--help"], ["gain", "--help"], ["search", "--help"]]
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    assert not modules_after(running(*arguments)) & set(HEAVY)


@pytest.mark.parametrize(
    "line",
    [
        "headwater pre",
        "headwater pretrain notes/ --objective masked_tokens=1,sent",
        "headwater finetune runs/notes labels.csv --steps 5 --task ",
        "headwater gain ru",
    ],
)
def test_the_tab_key_imports_nothing_heavy(line: str) -> None:
    words = line.split(" ")
    shell = {
        "_HEADWATER_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    assert not modules_after(running(), **shell) & set(HEAVY)


def test_a_run_does_not_load_the_compiler_that_it_does_not_use(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one two three\n\nfour five six\n\n" * 20, encoding="utf-8")
    begun = ("pretrain", str(tmp_path), "--out", str(tmp_path / "run"), "--size", "nano", "--steps", "2")
    settings = ("--set", "training.length=16", "--set", "machine.threads=1", "--set", "machine.device=cpu")
    code = running(*begun, *settings, "--quiet")
    loaded = modules_after(code, HEADWATER_CACHE=str(tmp_path / "cache"))
    assert "torch.optim" in loaded
    assert "torch._dynamo" not in loaded


@pytest.mark.parametrize("name", ["notes.txt", "picture.png", "sound.wav"])
def test_looking_at_data_does_not_load_torch(name: str, tmp_path: Path) -> None:
    if name == "notes.txt":
        (tmp_path / name).write_text("one two three\n\nfour five six\n", encoding="utf-8")
    elif name == "picture.png":
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    else:
        soundfile.write(tmp_path / name, np.zeros(800), 8_000)
    sheet = () if name == "notes.txt" else ("--sheet", str(tmp_path / "sheet.png"))
    loaded = modules_after(running("inspect", str(tmp_path), *sheet))
    assert "headwater.data" in loaded
    assert "torch" not in loaded


def test_every_public_name_can_be_reached() -> None:
    import headwater

    for name in headwater.__all__:
        assert getattr(headwater, name) is not None
