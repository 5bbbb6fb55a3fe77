# Thin names for what pyproject.toml and the `exchange` command do. `make` alone says what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

UV_VERSION := 0.13.9
SAM_CLI_VERSION := 1.170.0
PIP_AUDIT_VERSION := 2.10.1
PIP_LICENSES_VERSION := 5.5.5
DEPLOYED := --frozen --no-default-groups --group matcher --group chain --group payments
# The uv in PATH where there is one; else one of our own, pinned, in .uv.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
STAMP := .venv/.ready
CHECKED := build/checked-tree
ENGINE_PROPERTIES := $(patsubst %,tests/properties/test_%.py,engine engine_auction engine_machine engines_agree record_fuzz)
ENGINE_SOURCES := $(wildcard setup.py matcher/json_*.py matcher/json_*.pxd matcher/engine/fast/*.py matcher/engine/fast/*.pxd)

# Where it is set, every process compiles everything that it imports, each time: the quick tests take twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: candles help setup up down status demo audit lint test test-checked check format bench deploy clean test-engines test-day bench-engine cold-start simulate mutants fuzz openapi scaling permissions audit-dependencies campaign-matcher campaign-settlement campaign-freezes campaign-faults

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[36mmake %-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything in it, the compiled engine included

$(STAMP): uv.lock pyproject.toml $(ENGINE_SOURCES) | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --frozen --reinstall-package stock-exchange
	@touch $@

.uv/bin/uv:
	@command -v python3 >/dev/null || { echo "Python is missing: install Python 3.11 or newer from python.org."; exit 1; }
	python3 -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

up: $(STAMP) ## Start the exchange on this laptop, ready when an order can be placed
	@$(BIN)/exchange up

down: $(STAMP) ## End it; nothing is left running
	@$(BIN)/exchange down

status: $(STAMP) ## What runs
	@$(BIN)/exchange status

demo: $(STAMP) ## Send an order flow through the REST API and audit what came of it
	@$(BIN)/exchange demo

audit: $(STAMP) ## Check every invariant of the running exchange
	@$(BIN)/exchange audit

# Tests of a laptop cloud that nobody used before: they count what the whole chain has, or make everything fail.
ALONE := tests/integration/test_campaigns.py tests/integration/test_sweeps.py

test: $(STAMP) ## Every test: rules, properties, contracts, the laptop cloud
	$(BIN)/pytest -n 2 tests/unit tests/properties tests/simulation tests/campaigns tests/contract tests/tidy
	$(BIN)/pytest -n 2 --dist loadfile tests/integration tests/conformance tests/e2e $(ALONE:%=--ignore %)
	$(BIN)/pytest -n 2 --dist loadfile $(ALONE)

EXAMPLES ?= 100
SEED ?= 1
openapi: $(STAMP) ## Ask every operation of the API's document at length: EXAMPLES=100 each, SEED=1
	OPENAPI_EXAMPLES=$(EXAMPLES) OPENAPI_SEED=$(SEED) $(BIN)/pytest -q tests/conformance/test_openapi.py

permissions: $(STAMP) ## Keep which permissions the functions use, seen while the integration tests run
	rm -f tests/golden/permissions.txt
	RECORD_PERMISSIONS=1 $(BIN)/pytest -q tests/integration tests/conformance

# Strict: an audit that could not look a package up must not look like a clean one.
audit-dependencies: $(STAMP) ## Bill of materials, licences and known vulnerabilities of what is deployed, into build/supply
	mkdir -p build/supply
	$(UV) export -q $(DEPLOYED) --format cyclonedx1.5 -o build/supply/sbom.json
	$(UV) export -q $(DEPLOYED) --no-emit-project --format requirements-txt -o build/supply/requirements.txt
	$(UV) tool run --from pip-licenses==$(PIP_LICENSES_VERSION) pip-licenses --python $(BIN)/python --format markdown \
		--packages $$(sed -n 's/^\([A-Za-z0-9_.-]*\)==.*/\1/p' build/supply/requirements.txt) > build/supply/licences.md
	$(UV) tool run --from pip-audit==$(PIP_AUDIT_VERSION) pip-audit --strict --disable-pip --require-hashes \
		--progress-spinner off -r build/supply/requirements.txt

candles: $(STAMP) ## The candles of a million random trades against a plain second implementation
	CANDLE_TRADES=1000000 $(BIN)/pytest -q tests/properties/test_candles.py

# In a copy, for a checked engine is slow and must not take the place of the one in use.
test-checked: $(STAMP) ## The engine's tests on an engine built with bounds checks, under the address sanitizer
	rm -rf $(CHECKED)
	mkdir -p $(CHECKED)
	tar -c --exclude='*.so' matcher functions/shared bench tests setup.py pyproject.toml README.md | tar -x -C $(CHECKED)
	cd $(CHECKED) && ENGINE_REQUIRED=1 ENGINE_CHECKS=1 $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace -j 2
	cd $(CHECKED) && LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
		$(CURDIR)/$(BIN)/pytest -q -p no:cacheprovider -n 2 tests/unit/engine $(ENGINE_PROPERTIES)

COMMANDS ?= 10000000
FIRST ?= 1
test-engines: $(STAMP) ## Random commands through both engines: COMMANDS=10000000, from stripe FIRST=1 on
	PYTHONPATH=.:functions/shared/python $(BIN)/python -m tests.campaigns.engines --commands $(COMMANDS) --first $(FIRST)

KILLS ?= 500
STOPS ?= 100
OUTAGES ?= 10
ORDERS ?= 2000
FLOW ?= 500
campaign-matcher: $(STAMP) ## Kill and freeze matchers while orders flow: KILLS=500 STOPS=100
	MATCHER_KILLS=$(KILLS) MATCHER_STOPS=$(STOPS) $(BIN)/pytest -q -s tests/integration/test_matcher.py -k "kill_9 or stopped"

campaign-settlement: $(STAMP) ## Kill the workers of settlement while orders flow: KILLS=500 FLOW=500 SEED=1
	SETTLEMENT_KILLS=$(KILLS) FLOW_ORDERS=$(FLOW) CAMPAIGN_SEED=$(SEED) $(BIN)/pytest -q -s tests/integration/test_campaigns.py -k killed

campaign-freezes: $(STAMP) ## Freeze functions' workers, and all of the cloud, while orders flow: STOPS=100 OUTAGES=10
	WORKER_STOPS=$(STOPS) CLOUD_OUTAGES=$(OUTAGES) FLOW_ORDERS=$(FLOW) CAMPAIGN_SEED=$(SEED) \
		$(BIN)/pytest -q -s tests/integration/test_campaigns.py -k "frozen or away"

campaign-faults: $(STAMP) ## Throttle, fail, delay and lose requests while orders flow: ORDERS=2000 SEED=1
	FAULT_ORDERS=$(ORDERS) CAMPAIGN_SEED=$(SEED) $(BIN)/pytest -q -s tests/integration/test_campaigns.py -k throttled

test-day: $(STAMP) ## A whole NASDAQ day through both engines: DAY=file, LOBSTER's format
	$(if $(DAY),EXCHANGE_LOBSTER_DAY=$(abspath $(DAY))) $(BIN)/pytest tests/campaigns/test_nasdaq_day.py

MESSAGES ?= 10000
fuzz: $(STAMP) ## Damaged messages and noise for every decoder of bytes from outside: MESSAGES=10000 of each
	FUZZ_EXAMPLES=$(MESSAGES) $(BIN)/pytest -q -n 2 --hypothesis-profile=fuzz tests/properties/test_decoders.py

SEEDS ?= 10000
simulate: $(STAMP) ## The whole exchange on virtual time while everything fails: SEEDS=10000, from FIRST=1 on
	PYTHONPATH=.:functions/shared/python $(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

mutants: $(STAMP) ## Planted bugs, each to be killed by an invariant; writes the table of docs/reliability.md
	PYTHONPATH=.:functions/shared/python $(BIN)/python -m tests.simulation.mutate --write

lint: $(STAMP) ## Every check that is no test: format, style, types, imports, templates
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	node --check web/market.js
	$(BIN)/cfn-lint template.yaml infra/*.yaml
	AWS_DEFAULT_REGION=us-east-1 $(UV) tool run --from aws-sam-cli==$(SAM_CLI_VERSION) sam validate --lint --template template.yaml

check: lint test ## Everything CI checks

format: $(STAMP) ## Format and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(STAMP) ## Measure a running exchange; docs/benchmarks.md says what was found here
	@$(BIN)/exchange bench

cold-start: $(STAMP) ## Measure how long each function takes to import and begin, compiled and from source
	PYTHONPATH=.:functions/shared/python $(BIN)/python -m bench.cold_start $(OPTIONS)

scaling: $(STAMP) ## Reckon docs/scaling.md anew from what was measured; OPTIONS=--count counts deposits and messages too
	PYTHONPATH=.:functions/shared/python $(BIN)/python -m bench.scaling $(OPTIONS)

bench-engine: $(STAMP) ## Measure the matching engine, beside everybody else's
	$(UV) sync --frozen --inexact --group rivals
	PYTHONPATH=.:functions/shared/python $(BIN)/python -m bench.engines $(OPTIONS)

deploy: $(STAMP) ## Deploy to AWS, the first time or again
	@$(BIN)/exchange deploy

clean: down ## Remove what was made; .venv too
	rm -rf .venv .uv .local .aws-sam build
