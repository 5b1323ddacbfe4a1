# Every target does its own set-up: a .venv and an editable install, reused the next time.
# Inside an active virtual environment that one is used.

ifdef VIRTUAL_ENV
VENV := $(VIRTUAL_ENV)
else
VENV := .venv
endif
PYTHON ?= python3
BIN := $(VENV)/bin
# One stamp for each set of extras: a changed pyproject.toml installs again.
READY := $(VENV)/.dlctl-ready
READY_DEV := $(VENV)/.dlctl-ready-dev
READY_SLOW := $(VENV)/.dlctl-ready-slow
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help

help: ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F '\t' '{printf "  %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(READY_DEV): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(READY)

$(READY_SLOW): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev,mlflow,postgresql,wandb]'
	@touch $@ $(READY) $(READY_DEV)

train: $(READY) ## Train the example: a small net on real MNIST digits, no download
	$(BIN)/dlctl train --exp example

test: $(READY_DEV) ## Run the tests
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist worksteal

test-slow: $(READY_SLOW) ## Run the tests that take long: wheels, trackers, several processes, full data
	$(BIN)/python -m pytest -m slow --numprocesses 2 --dist worksteal --timeout 900

bench: $(READY_DEV) ## Measure the speed of a training step, of --help, of a sweep and of the CoNLL-U parser, as ratios
	$(BIN)/python tests/benchmarks/training_step.py
	$(BIN)/python tests/benchmarks/startup.py
	$(BIN)/python tests/benchmarks/sweep.py
	$(BIN)/python tests/benchmarks/validation.py
	$(BIN)/python tests/benchmarks/conllu_speed.py

check: $(READY_DEV) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY_DEV) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what was built and cached, not the logs and not the environment
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: help train test test-slow bench check format clean
