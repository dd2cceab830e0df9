# make train   install into .venv and train on embedded data
# make test    install into .venv with test tools and run every check
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# A Python without ensurepip (as Debian ships it) makes the environment without pip; the outer pip then fills it.
PIP     = $(if $(wildcard $(BIN)/pip),$(BIN)/python -m pip,$(PYTHON) -m pip --python $(BIN)/python)
INSTALL = $(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: train test lint types bench clean

train: $(STAMP)
	$(BIN)/retrograd train examples/digits.yaml

test: $(STAMP)-dev lint types
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)-dev
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples

types: $(STAMP)-dev
	$(BIN)/mypy

bench: $(STAMP)-dev
	$(BIN)/python benchmarks/bench_step.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "retrograd needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --clear --without-pip $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable .
	touch $@

$(STAMP)-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[dev]'
	touch $@ $(STAMP)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
