# Everything a fresh machine needs is python3 (3.11 or newer), make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
export PYTHONUTF8 := 1
# Compiled once and kept, whatever the environment says: the tests start hundreds of interpreters.
export PYTHONDONTWRITEBYTECODE :=

# Two workers, each with its own half of the files, so that what a file shares is made once; who ends first helps.
PYTEST := -m pytest -n 2 --dist worksteal
# Their folders in memory where there is enough of it: they write thousands of small databases.
MEMORY := $(shell test -w /dev/shm && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 2000000 {print "/dev/shm"}')

# Environments for test-matrix: both generations of AG2, one of them, none.
MATRIX ?= both classic ag2 neither
MATRIX_TESTS := tests/capture tests/test_import_hygiene.py tests/test_cli_basics.py
matrix_extras_classic := test
matrix_extras_ag2 := test,openai
matrix_extras_neither := test
matrix_then_classic := 'autogen[openai]>=0.14,<0.15'
matrix_without_classic := ag2
matrix_without_neither := ag2

.PHONY: install model demo test test-matrix check lint types layers bench docs build clean help

help:            ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

install: $(VENV)/.installed   ## Make .venv with skillsmith and all it can use

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[model,dev]'
	@touch $@

model: install   ## Install the embedding model into the user's cache (once for all clones)
	@$(BIN)/skillsmith model install

demo: model      ## The whole life of a skill, live
	@$(BIN)/skillsmith demo

test test-matrix-%: export PYTEST_DEBUG_TEMPROOT := $(MEMORY)

test: model      ## Run the tests
	$(BIN)/python $(PYTEST)

test-matrix: install   ## Run the tests of capture with both generations of AG2, with one, with none
	@for name in $(MATRIX); do $(MAKE) --no-print-directory test-matrix-$$name || exit 1; done

test-matrix-both: install
	$(BIN)/python $(PYTEST) $(MATRIX_TESTS)

test-matrix-%: .matrix/%/.installed
	.matrix/$*/bin/python $(PYTEST) $(MATRIX_TESTS)

.PRECIOUS: .matrix/%/.installed

.matrix/%/.installed: pyproject.toml
	$(PYTHON) -m venv .matrix/$*
	.matrix/$*/bin/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[$(matrix_extras_$*)]' $(matrix_then_$*)
	$(if $(matrix_without_$*),.matrix/$*/bin/python -m pip uninstall --quiet --yes $(matrix_without_$*))
	@touch $@

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
	$(BIN)/python bench/scale.py
	$(BIN)/python bench/banking.py $(DATA)/matching/banking77
	$(BIN)/python bench/execute.py
	$(BIN)/python bench/speedup.py
	$(BIN)/python bench/endurance.py --executions 2000
	$(BIN)/python bench/optimize.py
	$(BIN)/python bench/programs.py $(DATA)
	$(BIN)/python bench/longrun.py --events 100000
	$(BIN)/python bench/tui.py
	$(BIN)/python bench/serve.py
	$(BIN)/python bench/match.py $(DATA)/matching/webarena_families $(DATA)/matching/toole_single \
	  $(DATA)/matching/tau_airline_families $(DATA)/matching/tau_retail_actions

docs: install    ## The user guide into site/
	$(BIN)/python docs/make_cli.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

build: install   ## Wheel and source distribution into dist/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python -m build --quiet

clean:           ## Remove what was made here (not the model, not the database)
	rm -rf $(VENV) .matrix dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
