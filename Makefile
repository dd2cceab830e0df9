# make train   install into .venv and train on embedded data
# make check   lint, types, and for a minute the tests of what changed since main
# make test    install into .venv with test tools and run every check
# All build the native kernels where there is a C++ compiler, and say in one line if there is none.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# A Python without ensurepip (as Debian ships it) makes the environment without pip; the outer pip then fills it.
PIP     = $(if $(wildcard $(BIN)/pip),$(BIN)/python -m pip,$(PYTHON) -m pip --python $(BIN)/python)
INSTALL = $(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt

KERNELS := $(VENV)/.kernels
NATIVE   = $(BIN)/python -m retrograd.native.build

WRITTEN := src tests benchmarks examples docs/*.py docs/site  # Python
PROSE   := src/retrograd docs benchmarks examples packaging Makefile pyproject.toml $(wildcard *.md)

.PHONY: train check changed test test-formulas cov fuzz test-native test-variants sanitize lint types bench bench-check mutants docs clean

train: $(STAMP) $(KERNELS)
	$(BIN)/retrograd train examples/digits.yaml

check: lint types changed

changed: $(STAMP)-dev $(KERNELS)
	$(BIN)/python tests/changed.py

test: $(STAMP)-dev
	$(MAKE) --no-print-directory --jobs=2 $(KERNELS) lint types
	$(BIN)/python -m pytest -n 2 --dist loadgroup
	$(MAKE) --no-print-directory test-variants

cov: $(STAMP)-dev $(KERNELS)  # how much of the source the tests run, and which lines not; fails below the floor
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

test-formulas: $(STAMP)-dev $(KERNELS)  # after `make test`: what called native kernels, with the formulas in their place
	$(BIN)/python -m pytest -n 2 --dist loadgroup --formulas

test-native: $(STAMP)-dev  # many random shapes and options for each kernel, and the variants for older processors
	$(NATIVE) --strict
	RETROGRAD_NATIVE_CASES=2000 $(BIN)/python -m pytest -n 2 tests/native
	$(MAKE) --no-print-directory test-variants CASES=200

CASES ?= 10
test-variants: $(STAMP)-dev $(KERNELS)  # random shapes with the kernels that older processors run
	for variant in $$($(BIN)/python -c 'from retrograd.native.library import able; print(*able()[:-1])'); do \
	RETROGRAD_KERNELS=$$variant RETROGRAD_NATIVE_CASES=$(CASES) $(BIN)/python -m pytest -n 2 -m random_shapes tests/native \
	|| exit 1; done

fuzz: $(STAMP)-dev  # a hundred times as many random configurations, tables and damaged files as `make test` tries
	RETROGRAD_FUZZ=100 $(BIN)/python -m pytest -n 2 tests/fuzz

sanitize: $(STAMP)-dev  # the kernels' tests with AddressSanitizer and UndefinedBehaviorSanitizer
	mkdir -p build
	$(NATIVE) --strict --sanitize --output build/sanitized.so
	RETROGRAD_KERNELS_LIBRARY=build/sanitized.so RETROGRAD_NATIVE_CASES=200 ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	$(BIN)/python -m pytest -n 2 tests/native

lint: $(STAMP)-dev
	$(BIN)/ruff check $(WRITTEN)
	$(BIN)/ruff format --check $(WRITTEN)
	$(BIN)/codespell $(PROSE)

types: $(STAMP)-dev
	$(BIN)/mypy

FILE ?= src/retrograd/propagation/empty.py
mutants: $(STAMP)-mutants  # which small changes of FILE none of its tests (or of TESTS) notices; takes hours for a long file
	$(BIN)/python tests/mutants.py $(FILE) $(TESTS)

docs: $(STAMP)-docs  # the site, from the texts in docs and from the program itself
	JAX_PLATFORMS=cpu NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP)-dev $(KERNELS)
	$(BIN)/python benchmarks/bench_step.py

bench-check: $(STAMP)-dev $(KERNELS)  # a quarter of an hour: which steps became slower than recorded, against jax.grad
	$(BIN)/python benchmarks/compare_step.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "retrograd needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --clear --without-pip $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable .
	touch $@

$(STAMP)-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[dev]'
	touch $@ $(STAMP)

$(STAMP)-mutants: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[mutants]'
	touch $@ $(STAMP)-dev $(STAMP)

$(STAMP)-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[docs]'
	touch $@ $(STAMP)

$(KERNELS): $(wildcard src/retrograd/native/kernels/*) src/retrograd/native/build.py | $(STAMP)
	$(NATIVE)
	touch $@

clean:
	rm -f src/retrograd/native/kernels.so
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
