# splitbrain. The two commands of a new machine: `make test-raft-partition` (the main job) and `make test`.
#
#   make test-<system>-<nemesis>   one run; SEED= TIME= NODES= RUNTIME= WORKLOAD= STRICT=1 STORE=
#                                  PRIVILEGED=1 (power cuts on containers) change it
#   make test                      all tests: make test-unit, test-simulation, test-browser and test-engine, one after
#                                  the other; JOBS= processes each (as many as there are cores), ENGINE_JOBS=
#                                  for tests on containers, which mostly wait (4)
#   make test-quick                the tests that need neither an engine nor a browser
#   make coverage                  the same, with the share of lines that they run
#   make check                     ruff, ruff format, mypy --strict
#   make dist                      source distribution and wheel, checked by twine
#   make lock                      .ci/requirements.txt anew: the releases of LOCKED=1, which CI installs, with hashes
#   make lint-js                   Biome over the JavaScript of the pages; fetched by npx, needs a network
#   make hunt-<system>             search for a schedule that breaks a promise; SECONDS= SCHEDULES= SEED= change it
#   make matrix                    every system under every class of fault; SYSTEMS= BUDGET= FULL=1 SEED= RUNTIME= choose
#   make nightly                   the matrix within BUDGET=90m; red only for a broken promise
#   make compare                   what elections cost and promise, measured; CONTAINERS=1 counts there too
#   make soak                      run after run on containers, and what is left behind; SYSTEMS= MINUTES=30
#   make mutants                   how soon each planted bug is caught, and by what
#   make bench                     how fast judging and the simulation are, here
#   make bench-links               how exactly packets are late: asked against achieved
#   make bench-clocks              what a thousand changes of its clock do to a running program
#   make engine                    a Docker engine, where none answers (ENGINE=skip: never)
#   make docs                      the pages of the documentation that the code makes: docs/description-keys.md
#   make clean                     what an interrupted run left behind, and all caches

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUNTIME ?= docker

options := --runtime $(RUNTIME)
options += $(if $(SEED),--seed $(SEED)) $(if $(TIME),--time-limit $(TIME)) $(if $(NODES),--nodes $(NODES))
options += $(if $(STRICT),--strict) $(if $(WORKLOAD),--workload $(WORKLOAD)) $(if $(STORE),--store $(STORE))
options += $(if $(PRIVILEGED),--allow-privileged)

.DEFAULT_GOAL := help
.PHONY: help install lock engine images test test-unit test-simulation test-browser test-engine test-quick check types lint-js format coverage dist compare matrix nightly soak mutants bench bench-links bench-clocks docs clean

help:
	@sed -n '3,/^$$/s/^# *//p' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/installed

# With LOCKED=1, as in continuous integration: the releases in .ci/requirements.txt, each checked by its hash.
$(VENV)/installed: pyproject.toml $(if $(LOCKED),.ci/requirements.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "splitbrain: Python 3.11 or newer is needed; name one with PYTHON=" >&2; exit 3; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "splitbrain: this Python has no venv; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(if $(LOCKED),$(PIP) --require-hashes --requirement .ci/requirements.txt)
	$(PIP) $(if $(LOCKED),--no-deps --no-build-isolation --editable .,--editable '.[dev]')
	@touch $@

# .ci/requirements.txt anew: the newest releases that pyproject.toml allows.
lock: install
	$(PIP) uv==0.13.9
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --custom-compile-command 'make lock' --output-file .ci/requirements.txt pyproject.toml

engine:
	@harness/runtimes/docker/engine.sh

TIERS  := unit simulation browser engine
JOBS   ?= auto
# Tests on containers mostly wait, so four keep two cores busy.
ENGINE_JOBS ?= 4
pytest := $(BIN)/python -m pytest --maxprocesses 8 -n $(JOBS)

# Tests start hundreds of processes; without bytecode each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

test-unit: install
	$(pytest) --dist worksteal -m 'not simulation and not engine and not browser'

# The files in which a mark is written; to import all the others takes each process some seconds.
marked = $(shell grep -rl --include='test_*.py' 'mark\.$(1)' harness nodes nemesis checkers reports)

test-simulation: install
	$(pytest) -m simulation $(call marked,simulation)

test-browser: install
	$(pytest) -m browser $(call marked,browser)

# The tests of a file run in one process, since they may share a cluster; files run beside one another, since they
# mostly wait. Tests that failed (status 1, nothing worse) have one second chance, alone: a busy machine may stall a
# container for seconds. The list of them begins empty, so a second run of none (status 5) is a failure too.
FAILURES := .pytest_cache/engine
engine   := $(pytest) -o cache_dir=$(FAILURES)

test-engine: install engine
	@rm -rf $(FAILURES); first=0; second=0; \
	$(engine) -n $(ENGINE_JOBS) --dist loadfile -m 'engine and not alone' $(call marked,engine) || first=$$?; \
	$(engine) -n 0 -m 'engine and alone' $(call marked,alone) || second=$$?; \
	for status in $$first $$second; do test $$status -le 1 || exit $$status; done; \
	test $$((first + second)) -gt 0 || exit 0; \
	list=$(FAILURES)/v/cache/lastfailed; test -s $$list || exit 1; \
	failed=$$($(BIN)/python -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n  ")' $$list) || exit 1; \
	printf 'failed at first, and now run again alone:\n  %s\n' "$$failed"; \
	$(engine) -n 0 --last-failed --last-failed-no-failures none -m engine $(call marked,engine) || exit 1; \
	printf 'failed beside others, passed alone (each is a defect to look at):\n  %s\n' "$$failed"

test-quick: install
	$(pytest) -m 'not engine and not browser'

coverage: install
	$(pytest) -m 'not engine and not browser' --cov --cov-report=term

images: install engine
	@$(BIN)/python -m splitbrain.tests.images

# Every tier is run, whatever became of those before it. The engine is installed and makes its images while the first
# ones run; the tier engine says what is wrong with it, if anything is.
test: install
	@took=; failed=; \
	$(if $(filter engine,$(TIERS)),$(MAKE) --no-print-directory images >/dev/null 2>&1 & images=$$!;) \
	for tier in $(TIERS); do \
	  began=$$(date +%s); \
	  test $$tier != engine || wait $$images || true; \
	  $(MAKE) --no-print-directory test-$$tier || failed="$$failed $$tier"; \
	  took="$$took  $$tier $$(($$(date +%s) - began)) s"; \
	done; \
	echo "tests:$$took"; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

# The names are checked by splitbrain itself, which lists what there is when one is unknown.
test-%: install
	@$(if $(filter docker,$(RUNTIME)),harness/runtimes/docker/engine.sh)
	@$(BIN)/splitbrain test $* $(options)

check: install types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	@rm -rf build/namespace && mkdir -p build/namespace/splitbrain
	@ln -s $(CURDIR)/harness/* $(addprefix $(CURDIR)/,nodes nemesis checkers reports) build/namespace/splitbrain/
	$(BIN)/mypy

# The pinned version stands in biome.json too, as its schema.
lint-js:
	npx --yes @biomejs/biome@2.6.8 ci

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hunt-%: install
	@$(BIN)/splitbrain hunt $* $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(STORE),--store $(STORE))

# Both runtimes, unless RUNTIME is given; with RUNTIME=sim there need be no engine.
matrix: install
	@$(if $(filter docker,$(RUNTIME)),harness/runtimes/docker/engine.sh)
	@$(BIN)/splitbrain matrix $(SYSTEMS) $(if $(filter file,$(origin RUNTIME)),,--runtime $(RUNTIME)) \
	  $(if $(FULL),--full) $(if $(BUDGET),--budget $(BUDGET)) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE))

nightly: install engine
	@$(BIN)/splitbrain matrix --full --budget $(or $(BUDGET),90m) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE))

soak: install engine
	@$(BIN)/splitbrain soak $(SYSTEMS) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE))

compare: install
	@$(if $(CONTAINERS),harness/runtimes/docker/engine.sh)
	@$(BIN)/splitbrain compare $(if $(CONTAINERS),--containers) $(if $(STORE),--store $(STORE))

mutants: install
	$(BIN)/python -m splitbrain.campaigns.mutants

bench: install
	$(BIN)/python -m splitbrain.bench.judging
	$(BIN)/python -m splitbrain.bench.simulation

bench-links: install engine
	@$(BIN)/python -m splitbrain.bench.links

bench-clocks: install engine
	@$(BIN)/python -m splitbrain.bench.clocks

docs: install
	$(BIN)/python -m splitbrain.user_systems.description.reference > docs/description-keys.md

dist: install
	$(if $(LOCKED),,$(PIP) --editable '.[release]')
	rm -rf build dist
	$(BIN)/python -m build $(if $(LOCKED),--no-isolation)
	$(BIN)/twine check --strict dist/*

clean:
	@if [ -x $(BIN)/splitbrain ] && docker version >/dev/null 2>&1; then $(BIN)/splitbrain clean; fi
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
