# The tasks of this repository; `make help` lists them.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := warp_resources warp_assets warp_sensors tests benchmarks deploy
# Each worker has servers of its own; a file stays with one worker, and those that take long come first.
PARALLEL := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
EMULATOR := warp_resources/connectors/bigquery
# Before the workers start. Where there is no Python for it, its tests are skipped, but never in CI.
MAKE_EMULATOR := $(BIN)/python -m warp_resources.connectors.bigquery.environment
EXAMPLE ?= examples/mongodb-to-postgresql-single.yaml

.DEFAULT_GOAL := help
.PHONY: help install install-dev emulator demo test test-bigquery test-service soak model check bench format \
	lint type-check import-check test-coverage docs example-init example-validate lock clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt-get install python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: Python 3.11 or newer is needed, make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (about two minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(filter warp_%,$(SOURCES))
	@touch $@

install: $(STAMP) ## Make .venv with the locked packages and this project

install-dev: install ## The same: the lock includes the tools of development

emulator: install ## Make .venv-bigquery, where the BigQuery emulator runs on a Python of its own
	@$(MAKE_EMULATOR)

demo: install ## MongoDB, PostgreSQL and Dagster on this machine (CHECK=1: prove it and exit; DESTINATION=...)
	@$(BIN)/cartridge-warp demo $(if $(CHECK),--check) $(if $(DESTINATION),--destination '$(DESTINATION)')

check: install ## Everything that needs no server: format, lint, types, imports, unit tests
	@echo "format" && $(BIN)/ruff format --check --quiet $(wildcard $(SOURCES))
	@echo "lint" && $(BIN)/ruff check --quiet $(wildcard $(SOURCES))
	@echo "types" && $(BIN)/mypy
	@echo "imports" && $(BIN)/lint-imports --no-logo
	@echo "unit tests" && $(BIN)/python -m pytest tests/unit tests/model

test: install ## All tests, against real servers started for them
	@$(MAKE_EMULATOR) || test -z "$$CI"
	@$(BIN)/python -m pytest $(PARALLEL)

test-bigquery: install emulator ## Everything on the BigQuery emulator, of which `make test` runs a part (an hour)
	@$(BIN)/python -m pytest $(PARALLEL) tests/contract tests/faults tests/pairs tests/service -k bigquery --bigquery-all

test-service: install ## The tests on the real BigQuery: CARTRIDGE_WARP_BIGQUERY_PROJECT names the project that pays
	@test -n "$(CARTRIDGE_WARP_BIGQUERY_PROJECT)" || { echo "Set CARTRIDGE_WARP_BIGQUERY_PROJECT"; exit 1; }
	@$(BIN)/python -m pytest -s tests/service --bigquery-all

soak: install ## Random faults against everything until something differs (MINUTES=10, SEED=n, DRIVER=run|dagster)
	@$(BIN)/python -m tests.soak --minutes '$(or $(MINUTES),10)' $(if $(SEED),--seed '$(SEED)') $(if $(DRIVER),--driver '$(DRIVER)')

model: install ## Explore the models of the protocol in larger scopes than the tests do (minutes)
	@$(BIN)/python -m tests.model

bench: install ## Measure throughput, delay and memory beside the limit of the machine
	@$(BIN)/python -m benchmarks

format: install ## Rewrite the code in the project's format
	@$(BIN)/ruff format $(wildcard $(SOURCES))
	@$(BIN)/ruff check --fix $(wildcard $(SOURCES))

lint: install ## Lint and check the import rules
	@$(BIN)/ruff check $(wildcard $(SOURCES))
	@$(BIN)/lint-imports --no-logo

type-check: install ## Check the types
	@$(BIN)/mypy

test-coverage: install ## All tests, with a coverage report in htmlcov/
	@$(MAKE_EMULATOR) || test -z "$$CI"
	@$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term --cov-report=html

docs: install ## Write docs/configuration.md from the models, docs/connectors.md from the protocols, docs/types.md from the type tables
	@$(BIN)/cartridge-warp schema --markdown > docs/configuration.md
	@{ cat docs/parts/connectors.md; echo '```python'; cat warp_resources/connectors/interfaces.py; echo '```'; } > docs/connectors.md
	@$(BIN)/python -m tests.type_tables.page > docs/types.md

example-init: install ## Write a commented warp.yaml from a running source (SOURCE=uri DESTINATION=uri)
	@$(BIN)/cartridge-warp init $(if $(SOURCE),--source '$(SOURCE)') $(if $(DESTINATION),--destination '$(DESTINATION)')

example-validate: install ## Validate an example configuration (EXAMPLE=path)
	@$(BIN)/cartridge-warp --config '$(EXAMPLE)' validate

lock: install ## Choose the newest allowed versions and write requirements.lock, and the emulator's
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --output-file requirements.lock
	@cd $(EMULATOR) && $(abspath $(BIN))/uv pip compile emulator.in --override emulator.in --quiet --upgrade --universal \
		--python-version 3.13 --generate-hashes --no-emit-index-url --no-header --output-file emulator.lock

clean: ## Remove the virtual environments and what the tools leave behind
	@rm -rf $(VENV) $(VENV)-bigquery build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage
