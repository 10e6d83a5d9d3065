"""What every report on test rows has in common."""

import importlib
import pkgutil

import pytest

from headwater.evaluation import metrics

REPORTS = {
    name: kind
    for module in pkgutil.iter_modules(metrics.__path__, f"{metrics.__name__}.")
    for name, kind in vars(importlib.import_module(module.name)).items()
    if name.endswith("Report") and isinstance(kind, type)
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_reads_as_lines_for_people(name: str) -> None:
    assert len(REPORTS) >= 5
    assert "__str__" in vars(REPORTS[name])
    assert "to_dict" in vars(REPORTS[name])
