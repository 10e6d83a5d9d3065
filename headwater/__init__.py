"""Headwater: your unlabelled data → your own Transformer → few labels → what pre-training bought.

Everything public is named here and loaded when it is first used, so that ``import headwater`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

from headwater.version import VERSION

if TYPE_CHECKING:
    from headwater.data.inspection import inspect as inspect
    from headwater.errors import HeadwaterError as HeadwaterError
    from headwater.experiments.demo import demo as demo
    from headwater.experiments.gain import gain as gain
    from headwater.run.generating import Decoding as Decoding
    from headwater.run.verbs import Run as Run
    from headwater.run.verbs import finetune as finetune
    from headwater.run.verbs import open_run as open_run
    from headwater.run.verbs import pretrain as pretrain
    from headwater.run.verbs import resume as resume
    from headwater.run.verbs import runs as runs

__version__ = VERSION

_HOME = {
    "Decoding": "headwater.run.generating",
    "HeadwaterError": "headwater.errors",
    "Run": "headwater.run.verbs",
    "demo": "headwater.experiments.demo",
    "finetune": "headwater.run.verbs",
    "gain": "headwater.experiments.gain",
    "inspect": "headwater.data.inspection",
    "open_run": "headwater.run.verbs",
    "pretrain": "headwater.run.verbs",
    "resume": "headwater.run.verbs",
    "runs": "headwater.run.verbs",
}

__all__ = [
    "Decoding",
    "HeadwaterError",
    "Run",
    "demo",
    "finetune",
    "gain",
    "inspect",
    "open_run",
    "pretrain",
    "resume",
    "runs",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'headwater' has no attribute '{name}'; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
