# Every target works on a machine that has only git, make and python3 with venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
HAS_POSTGRESQL := ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help quickstart test test-slow test-services lint types contracts oracles bench clean

help:
	@echo "make quickstart   install with the demo voices and run the main job (about 2 minutes)"
	@echo "make test         install and run the tests"
	@echo "make test-slow    kill a study at every stage and at random moments (about 3 minutes)"
	@echo "make test-services  start a throw-away PostgreSQL and test searches of several processes in it"
	@echo "make lint types   ruff and import contracts; mypy"
	@echo "make oracles      install torch, mir_eval and Vela and compare against them"
	@echo "make bench        speed, as ratios against peers"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	@$(BIN)/python -m compileall -q npuexplore
	@touch $@

$(VENV)/.demo: $(VENV)/.installed
	@echo "Installing the extra [demo]: espeakng-loader, whose speech engine espeak-ng is GPL-3."
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.postgresql: $(VENV)/.installed
	$(PIP) --editable '.[postgresql]'
	@touch $@

$(VENV)/.dask: $(VENV)/.installed
	$(PIP) --editable '.[dask]'
	@touch $@

$(VENV)/.oracles: $(VENV)/.installed
	$(PIP) 'torch==2.13.0'
	$(PIP) --editable '.[oracles]'
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(PIP) 'torch==2.13.0'
	$(PIP) --editable '.[bench]'
	@touch $@

quickstart: $(VENV)/.demo
	$(BIN)/npuexplore study run studies/quickstart.yaml

test: $(VENV)/.installed
	$(BIN)/python -m pytest --numprocesses 2

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -o addopts= --strict-markers -q tests/slow

test-services: $(VENV)/.postgresql $(VENV)/.dask
	@$(HAS_POSTGRESQL) || test "$$(id -u)" != 0 || { apt-get update && apt-get install -y postgresql; }
	@$(HAS_POSTGRESQL) || { echo "PostgreSQL is missing: install Debian's package postgresql as root"; exit 1; }
	$(BIN)/python -m pytest -o addopts= --strict-markers -q tests/services

lint: $(VENV)/.installed
	$(BIN)/ruff check npuexplore tests benchmarks
	$(BIN)/ruff format --check npuexplore tests benchmarks
	$(BIN)/lint-imports

types: $(VENV)/.installed
	$(BIN)/mypy

oracles: $(VENV)/.oracles
	$(BIN)/python -m pytest -o addopts= --strict-markers -q tests/oracles

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/estimate_rate.py
	$(BIN)/python benchmarks/train_step.py

clean:
	rm -rf $(VENV) runs build dist
