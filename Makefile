# Everything a fresh machine needs is set up here: Python 3.11 or newer, pip and make are enough, no root.
# Versions come from constraints.txt (constraints-tensorflow.txt for the one environment that holds TensorFlow).

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
TENSORFLOW_VENV ?= .venv-tensorflow
OUT ?= demo

BIN := $(VENV)/bin
TENSORFLOW_BIN := $(TENSORFLOW_VENV)/bin

# A virtual environment, also where the system's Python comes without ensurepip (Debian without python3-venv).
define create_venv
	@rm -rf $(1)
	@$(PYTHON) -m venv $(1) 2>/dev/null || { \
	  rm -rf $(1) && $(PYTHON) -m venv --without-pip $(1) && \
	  $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; }
endef

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types fast test-slow test-tensorflow docs constraints clean distclean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## the main job on made-up data into ./demo (OUT=...), fails where nothing was learnt
	$(BIN)/subgrid run recipes/quickstart.yaml --set out=$(OUT)

test: lint types docs fast  ## all that a change must pass: style, types, documentation, fast tests

test-slow: $(VENV)/.installed-dev  ## the tests marked slow
	$(BIN)/python -m pytest -m slow

test-tensorflow: $(TENSORFLOW_VENV)/.installed  ## TensorFlow reads our shards, in an environment of its own
	$(TENSORFLOW_BIN)/python -m pytest tests/tensorflow -m "slow or not slow"

# Everything is read anew (-E): a warning of a page that has not changed since is one too.
docs: $(VENV)/.installed-dev  ## the documentation into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -E -W --keep-going -q docs docs/_build/html

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev  ## mypy over src
	$(BIN)/mypy

fast: $(VENV)/.installed-dev  ## the fast tests alone
	$(BIN)/python -m pytest

install: $(VENV)/.installed-dev  ## the environment for development

# The package is installed in place: a change of the source needs no new installation, one of these files does.
$(VENV)/bin/python:
	$(call create_venv,$(VENV))

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing subgrid into $(VENV): some minutes, once"
	@$(BIN)/python -m pip install --quiet --editable . --constraint constraints.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Adding the tools for tests and documentation"
	@$(BIN)/python -m pip install --quiet --editable '.[test,docs]' --constraint constraints.txt
	@touch $@

# Without torch: what reads and writes data sets does not need it, and a test sees to it that this stays so.
$(TENSORFLOW_VENV)/.installed: pyproject.toml constraints-tensorflow.txt
	$(call create_venv,$(TENSORFLOW_VENV))
	@echo "Installing TensorFlow into $(TENSORFLOW_VENV): some minutes, once"
	@$(TENSORFLOW_BIN)/python -m pip install --quiet --requirement constraints-tensorflow.txt
	@$(TENSORFLOW_BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

constraints:  ## resolve all versions anew into constraints.txt (torch stays as it is pinned)
	$(eval SCRATCH := $(shell mktemp -d))
	$(PYTHON) -m venv $(SCRATCH)
	grep '^torch==' constraints.txt > $(SCRATCH)/torch.txt
	$(SCRATCH)/bin/python -m pip install --quiet '.[gcs,s3,hub,dask,mlflow,wandb,dev]' --constraint $(SCRATCH)/torch.txt
	{ sed -n '/^#/p' constraints.txt; \
	  $(SCRATCH)/bin/python -m pip freeze --exclude subgrid | sed 's/+cpu$$//'; } > $(SCRATCH)/constraints.txt
	mv $(SCRATCH)/constraints.txt constraints.txt
	rm -rf $(SCRATCH)

clean:  ## remove what was built, trained and cached; keep the environments
	rm -rf build dist demo docs/_build docs/api/generated .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## remove the environments too
	rm -rf $(VENV) $(TENSORFLOW_VENV)
