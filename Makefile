# Everything runs from a fresh clone: each target sets up what it needs, once.
.DEFAULT_GOAL := help
PYTHON ?= python3
ARGS ?=
# make test BUILT_ONLY=1: what needs programs that `make binaries` has not built yet is skipped, and says so
BUILT_ONLY ?=
BIN := .venv/bin
STAMPS := .venv/stamps
READY := $(STAMPS)/package $(STAMPS)/torch
PYTEST := $(BIN)/python -m pytest -n 2
# what is imported is compiled once, not by every process that the tests start
unexport PYTHONDONTWRITEBYTECODE
# uv keeps unpacked wheels in the user's cache, so a second clone is set up in seconds; it asks the index that pip is told
# of. To ask pip for it takes a second and more, so it is asked once in a run, and only where something is to be installed.
CONFIGURED = $(eval CONFIGURED := $$(shell $(BIN)/python -m pip config get global.index-url 2>/dev/null))$(CONFIGURED)
INDEX = UV_SYSTEM_CERTS=1 UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$(if $(UV_DEFAULT_INDEX)$(PIP_INDEX_URL),,$(CONFIGURED))}}"
UV = $(INDEX) $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: help setup binaries demo test lint verify manifests bench bench-control-loop bench-forecast bench-arena bench-live \
  test-lies test-antagonists test-hostile test-mutants lock clean

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

setup: $(READY) ## create .venv with everything that is pinned (about two minutes, once)

binaries: setup ## bring etcd, Kubernetes, kwok, helm and Prometheus into the user's cache (at most ten minutes, once)
	@$(BIN)/python -m forerun.sandbox.binaries >/dev/null

demo: setup binaries ## show the whole life of a campaign on a real control plane: make demo ARGS="--speed 10"
	@$(BIN)/forerun demo $(ARGS)

test: setup $(if $(BUILT_ONLY),,binaries) ## run every test, those on the real control plane included
	@$(PYTEST) $(if $(BUILT_ONLY),--skip-unbuilt) $(ARGS)

lint: setup ## check style alone
	$(BIN)/ruff check
	$(BIN)/ruff format --check

verify: lint $(if $(BUILT_ONLY),,binaries) ## check style, types, layers, and that generated files are current
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/forerun crds --check
	$(BIN)/python tools/render_manifests.py --check $(if $(BUILT_ONLY),--skip-unbuilt)

manifests: setup binaries ## write crds/, the chart's copy of them and manifests/install from their sources
	$(BIN)/forerun crds
	$(BIN)/python tools/render_manifests.py

bench: bench-control-loop bench-forecast bench-arena ## run every benchmark

bench-control-loop: setup binaries ## measure 1,000 campaigns on 500 storefronts beside a bare PATCH loop
	@$(BIN)/python tests/benchmarks/control_loop.py $(ARGS)

bench-forecast: $(READY) $(STAMPS)/backtest ## score the forecast beside library baselines: make bench-forecast ARGS="--trace worldcup98-minute"
	@$(BIN)/python tests/benchmarks/forecast.py $(ARGS)

bench-arena: $(READY) $(STAMPS)/backtest ## compare with the HPA, KEDA cron and others on traces and generated campaigns: make bench-arena ARGS="--share 0.1"
	@$(BIN)/python tests/benchmarks/arena.py $(ARGS)

bench-live: setup binaries ## run beside the real KEDA and the real HPA, at ten times the speed (18 minutes; KEDA is built once, 9 minutes)
	@$(BIN)/python tests/benchmarks/live.py $(ARGS)

test-lies: $(READY) ## 100,000 simulated campaign-hours of lying metrics; goes on where it was cut off
	@$(BIN)/python -m tests.faults.metric_lies $(ARGS)

test-antagonists: $(READY) ## 2,000 interleavings of users, GitOps, autoscalers and crashes, in memory
	@$(BIN)/python -m tests.faults.antagonists $(ARGS)

test-hostile: $(READY) ## 200,000 malformed and hostile objects, in process; goes on where it was cut off
	@$(BIN)/python -m tests.faults.hostile $(ARGS)

test-mutants: $(READY) ## seed faults in ledger, give-back, lease and guards; the tests have to notice them
	@$(BIN)/python -m tests.faults.mutation $(ARGS)

lock: setup ## pin the newest versions that fit anew: the four requirements*.lock
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/lock.py

clean: ## remove the environment and what tools leave behind; the binaries stay in the user's cache
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist operator/forerun.egg-info
	find operator tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'Forerun needs Python >= 3.11: install it, or name one: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "$(PYTHON) cannot create environments: install its venv package (Debian: python3-venv)" >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/uv: requirements-uv.lock | $(STAMPS)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $< >&2
	@touch $@

$(STAMPS)/requirements: requirements.lock | $(STAMPS)/uv
	@echo 'installing what requirements.lock pins (usually 30 s)' >&2
	@$(UV) --require-hashes -r $< >&2
	@touch $@

# The package itself is linked to the sources, so editing needs no new set-up.
$(STAMPS)/package: pyproject.toml $(STAMPS)/requirements
	@$(UV) --no-deps --no-build-isolation --editable . >&2
	@touch $@

# What the forecast is compared with: half a gigabyte that nothing else needs.
$(STAMPS)/backtest: requirements-backtest.lock | $(STAMPS)/package
	@echo 'installing what requirements-backtest.lock pins (usually 30 s)' >&2
	@$(UV) --no-deps --require-hashes -r requirements-backtest.lock >&2
	@touch $@

$(STAMPS)/torch: requirements-torch.lock $(STAMPS)/requirements
	@$(INDEX) $(BIN)/python tools/install_torch.py $< >&2
	@touch $@
