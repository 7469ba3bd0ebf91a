# huxi: `make demo` runs the main job, `make test` runs all checks. Both prepare what they need.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-cache-dir --quiet
STAMPS := $(VENV)/stamps
PAGE := gateway/web/page
PEERS := tests/foreign/node
CORE_SOURCES := setup.py $(wildcard ext/*.pyx ext/*.pxd ext/*.pxi)
PAGE_SOURCES := $(shell find $(PAGE) -type f -not -path '*/node_modules/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo check test test-long bench docs lock clean format

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMPS)/core $(STAMPS)/page ## prepare: system packages, .venv, compiled core, page
	@echo "huxi is ready: $(BIN)/huxi --help"

setup-test: $(STAMPS)/system-test $(STAMPS)/dev $(STAMPS)/core $(STAMPS)/page $(STAMPS)/peers

demo: $(STAMPS)/core $(STAMPS)/page ## run the main job: a simulated community, the gateway, a receiver (ARGS='--for 60s --json')
	@$(BIN)/huxi demo $(ARGS)

check: setup-test ## the quick gate: format, lint, types, import rules, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q -n 2 -m "not slow"

test: check ## everything: the quick gate, then the slow tests
	$(BIN)/pytest -q -m slow

test-long: setup-test ## each promise at its full figure
	HUXI_TEST_SCALE=full $(BIN)/pytest -q

bench: setup-test ## benchmarks, side by side in one run
	$(BIN)/python -m tests.bench

docs: $(STAMPS)/core ## regenerate the JSON Schemas and the OpenAPI in docs/schema
	$(BIN)/python -m scripts.schemas

format: setup-test ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup-test ## pin and hash the requirements anew
	sh scripts/lock.sh $(BIN)/python

clean: ## remove everything that was built, the environment too
	rm -rf $(VENV) build dist *.egg-info ext/*.so $(PAGE)/node_modules $(PEERS)/node_modules gateway/web/static
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/system-run:
	@test -n "$(PYTHON)" || { echo "huxi: Python 3.11 or newer is needed: sudo apt-get install python3" >&2; exit 2; }
	@sh scripts/system-packages.sh $(PYTHON) run
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/system-test: $(STAMPS)/system-run
	@sh scripts/system-packages.sh $(PYTHON) test
	@touch $@

$(STAMPS)/run: requirements/build.txt requirements/run.txt | $(STAMPS)/system-run
	@echo "huxi: preparing the private environment in $(VENV)"
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --require-hashes -r requirements/run.txt
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/run
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMPS)/peers: $(PEERS)/package-lock.json $(STAMPS)/system-run
	@cd $(PEERS) && npm ci --silent --cache ../../../$(VENV)/npm-cache --no-audit --no-fund --ignore-scripts --omit=optional
	@touch $@

$(STAMPS)/core: pyproject.toml $(CORE_SOURCES) $(STAMPS)/run
	@echo "huxi: compiling the core"
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable . >$(VENV)/core.log 2>&1 || { cat $(VENV)/core.log >&2; exit 2; }
	@touch $@

$(STAMPS)/page: $(PAGE_SOURCES) | $(STAMPS)/system-run
	@echo "huxi: building the page"
	@cd $(PAGE) && npm ci --silent --cache ../../../$(VENV)/npm-cache --no-audit --no-fund --ignore-scripts && node build.mjs
	@touch $@
