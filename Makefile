# Everything a fresh machine needs is python3 (3.11 or newer), make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
export PYTHONUTF8 := 1

.PHONY: install model demo test check lint types layers bench build clean help

help:            ## Say what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

install: $(VENV)/.installed   ## Make .venv with skillsmith and all it can use

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[model,dev]'
	@touch $@

model: install   ## Install the embedding model into the user's cache (once for all clones)
	@$(BIN)/skillsmith model install

demo: model      ## The whole life of a skill, live
	@$(BIN)/skillsmith demo

test: model      ## Run the tests
	$(BIN)/python -m pytest -n 2

check: install lint types layers test   ## Lint, types, layers and tests

lint: install    ## Ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install   ## mypy, strict
	$(BIN)/mypy

layers: install  ## The import contracts
	$(BIN)/lint-imports

bench: model     ## Every benchmark; data folder in DATA=
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/capture.py
	$(BIN)/python bench/exchange.py
	$(BIN)/python bench/embedding.py
	$(BIN)/python bench/ingest.py $(DATA)
	$(BIN)/python bench/extract.py $(DATA)
	$(BIN)/python bench/match.py $(DATA)/matching/webarena_families $(DATA)/matching/toole_single \
	  $(DATA)/matching/tau_airline_families $(DATA)/matching/tau_retail_actions

build: install   ## Wheel and source distribution into dist/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python -m build --quiet

clean:           ## Remove what was made here (not the model, not the database)
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
