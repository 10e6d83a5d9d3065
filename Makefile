# Two commands for everyone (demo, test) and a few for those who build Headwater.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all check format clean

demo: .venv/installed  ## pre-train, fine-tune and measure the gain on text that every Python carries
	$(BIN)/headwater demo

test: .venv/installed-dev  ## the default tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not gpu" -n auto --dist loadfile

test-all: .venv/installed-dev  ## also what takes minutes, and what needs a GPU where there is one
	$(BIN)/python -m pytest

check: .venv/installed-dev  ## format, lint, types, floors, the shape of the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

format: .venv/installed-dev  ## let ruff lay the code out and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable ".[dev]"
	touch $@ .venv/installed

clean:
	rm -rf .venv build dist *.egg-info
