"""The command line starts at once: nothing heavy is imported before a verb runs."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "pyarrow", "sklearn", "matplotlib", "tokenizers", "transformers", "rich")


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def test_importing_headwater_imports_nothing_heavy() -> None:
    assert not modules_after("import headwater") & set(HEAVY)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["pretrain", "--help"], ["gain", "--help"], ["search", "--help"]]
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["headwater", *{arguments!r}]
from headwater.cli.app import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
"""
    assert not modules_after(code) & set(HEAVY)


def test_every_public_name_can_be_reached() -> None:
    import headwater

    for name in headwater.__all__:
        assert getattr(headwater, name) is not None
