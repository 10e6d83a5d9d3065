"""The run folder: the only state. Layout and names as in docs/architecture.md."""

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from headwater.errors import BadDataError, MissingInputError, SettingsError, StorageError, UsageError
from headwater.interchange import Rounding
from headwater.run.settings import Precision, RunSettings
from headwater.settings import read_toml, unknown_choice, write_toml
from headwater.training.precision import decide_precision
from headwater.version import VERSION

ENGINES = ("torch", "ctranslate2")
_ASIDE = re.compile(r"\.(tmp|old)-model-[0-9a-f]+$|\..+\.[0-9a-f]{8}$")
"""What is being written, or was when its process was killed: .tmp-model-1f0c…, .settings.toml.1f0c…"""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names the files of one run, and writes those that are replaced whole.

    ``precision`` is that in which the finished model is read; ``writes`` that in which CTranslate2 writes with it,
    None where torch does.
    """

    path: Path
    precision: Precision = "fp32"
    writes: Rounding | None = None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        """Private state, one folder a saved step."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """What is shipped."""
        return self.path / "model"

    @property
    def reports(self) -> Path:
        """gain, doctor, attention, compare."""
        return self.path / "reports"

    @property
    def resume_line(self) -> str:
        """How to go on with this run."""
        return f"go on with: headwater resume {self.path}"

    @property
    def finished(self) -> bool:
        """True once the shipped model stands."""
        return (self.model / "headwater.json").is_file()

    @classmethod
    def create(cls, path: str | Path, settings: RunSettings) -> "RunFolder":
        """A new run folder that already says what it is going to do; a folder in use is refused."""
        folder = cls(Path(path))
        if folder.path.exists() and not folder.path.is_dir():
            raise UsageError(f"{path} is a file; expected a folder, new or empty: name another with --out")
        if folder.path.is_dir() and not folder._sweep_all():
            resume = (
                f", or go on with it: headwater resume {path}"
                if (folder.path / "settings.toml").is_file()
                else ""
            )
            raise UsageError(f"{path} exists and is not empty; name another folder with --out{resume}")
        with storage(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.write_settings(settings)
            folder.write_json("environment.json", environment())
        return folder

    def discard_unbegun(self) -> None:
        """Remove a run that failed before its first step, so that the mended command may use its name.

        What has events or checkpoints stays: there is something to look at, or to go on from.
        """
        if not self.checkpoints.exists() and not (self.path / "events.jsonl").exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed process left half written in this folder; for the one process that writes here."""
        self._sweep_all()
        if not (self.path / "environment.json").is_file():
            self.write_json("environment.json", environment())

    def _sweep_all(self) -> bool:
        """Remove what was written aside; True when nothing else is here."""
        others = False
        for entry in self.path.iterdir():
            if _ASIDE.match(entry.name) is None:
                others = True
            elif entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        return not others

    @classmethod
    def open(cls, path: str | Path, *, precision: str = "fp32", engine: str = "torch") -> "RunFolder":
        """An existing run; SettingsError for a precision or an engine that does not exist."""
        folder = cls(Path(path), *_read_and_written(precision, engine))
        if not (folder.path / "settings.toml").is_file():
            raise MissingInputError(
                f"{path} is not a run: it holds no settings.toml; name the folder of a run, as listed by: "
                f"headwater runs {folder.path.parent}"
            )
        return folder

    def settings(self) -> RunSettings:
        """What the run was told, and what it derived."""
        settings = RunSettings.from_mapping(read_toml(self.path / "settings.toml"))
        return settings.having(data={"full_volume": False}) if self._began_as_recorded() else settings

    def _began_as_recorded(self) -> bool:
        """Whether it began to hear recordings before they were made as loud as they go, and so goes on that way."""
        facts = self.read_json("data.json")
        cuts = [cut for cut in (facts.get("cut"), *facts.get("cuts", ())) if cut]
        return any(cut.get("modality") == "audio" and "full_volume" not in cut for cut in cuts)

    def write_settings(self, settings: RunSettings) -> None:
        """Replace settings.toml in one step."""
        aside = self._aside("settings.toml")
        write_toml(aside, settings.to_mapping())
        self._replace(aside, "settings.toml")

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Replace a JSON file in one step."""
        aside = self._aside(name)
        aside.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self._replace(aside, name)

    def write_data(self, facts: Mapping[str, Any]) -> None:
        """``data.json``: what the run learns from; its ``key`` is of everything that a batch depends on.

        BadDataError where the run has begun on other data: its steps and these would not be of one run.
        """
        before = self.read_json("data.json")
        other = before.get("key", facts["key"]) != facts["key"] and not _same_but_for_key(before, facts)
        if self._has_begun() and other:
            raise BadDataError(
                f"{self.path} has begun to learn from other data than stand there now{_changed(before, facts)}; "
                "restore them to go on, or begin another run on the new ones"
            )
        self.write_json("data.json", facts)

    def moved(self) -> str:
        """In which way the machine is another one than a begun run was trained on so far; "" where it is the same."""
        before = self.read_json("environment.json")
        if not (self._has_begun() and before):
            return ""
        now = environment()
        pairs = {
            "processor": (before.get("processor"), now["processor"]),
            "torch": (before.get("packages", {}).get("torch"), now["packages"]["torch"]),
            "headwater": (before.get("headwater"), now["headwater"]),
        }
        other = [f"{name} {was} then, {here} now" for name, (was, here) in pairs.items() if was != here]
        if not other:
            return ""
        return f"begun elsewhere ({'; '.join(other)}): it goes on, but not to the same bits"

    def _has_begun(self) -> bool:
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """Replace a text file in one step."""
        aside = self._aside(name)
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        self._replace(aside, name)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; empty if it was not written yet."""
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError as problem:  # broken JSON, or bytes that are no text
            raise BadDataError(
                f"{path} is damaged: {problem}; restore it, or make the run again"
            ) from problem

    def _aside(self, name: str) -> Path:
        return self.path / f".{name}.{uuid.uuid4().hex[:8]}"

    def _replace(self, aside: Path, name: str) -> None:
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(self.path / name)


@contextlib.contextmanager
def storage(path: Path) -> Generator[None]:
    """Say in plain words what a disk refused."""
    try:
        yield
    except OSError as problem:
        raise StorageError(
            f"cannot write to {path}: {problem.strerror or problem}; free some space, or name a folder that can "
            "be written with --out"
        ) from problem


def environment() -> dict[str, Any]:
    """Versions, hardware and git state, for whoever compares two runs later."""
    packages = ("torch", "numpy", "tokenizers", "safetensors", "pyarrow", "scikit-learn")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "headwater": VERSION,
        "packages": {name: _version(name) for name in packages},
        "git": _git_commit(),
        "arguments": sys.argv[1:],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path.cwd()), "rev-parse", "HEAD"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        return answer.stdout.strip() or None
    return None


def _same_but_for_key(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether another version, which made other keys, tells of the same data: all is equal, each file's content too."""
    sources = after.get("sources", ())
    digested = bool(sources) and all("digest" in source for source in sources)
    return digested and {**before, "key": None} == {**after, "key": None}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Which files are other files now, where the facts of both name each with its digest."""
    known, now = (
        {source["path"]: source.get("digest") for source in facts.get("sources", ())}
        for facts in (before, after)
    )
    changed = [path for path in known if now.get(path) != known[path]] + [
        path for path in now if path not in known
    ]
    if not changed:
        return ""
    more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
    return f" ({changed[0]}{more})"


def _read_and_written(precision: str, engine: str) -> tuple[Precision, Rounding | None]:
    """In which precision a model is read by torch, and written with by CTranslate2 if that is asked for."""
    if engine == "torch":
        if precision == "int8":
            raise SettingsError(
                "precision='int8' is for texts that CTranslate2 writes: add --engine ctranslate2 to generate, "
                "translate or evaluate; elsewhere choose auto, fp32 or bf16"
            )
        return decide_precision(precision), None
    if engine != "ctranslate2":
        raise SettingsError(unknown_choice("engine", engine, ENGINES))
    if precision not in ("fp32", "int8", "auto"):
        raise SettingsError(
            f"precision={precision!r} with engine=ctranslate2; choose fp32, int8, or auto (int8)"
        )
    return "fp32", "fp32" if precision == "fp32" else "int8"
