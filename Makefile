# The commands of this repository. `make help` lists them.
#
# Everything is laid into .venv and .tools of this folder; "make clean" takes it away again. The one thing that may need root
# is Python itself, where the distribution packs venv apart (Debian, Ubuntu): then apt-get is called, with sudo if need be.

PYTHON ?= python3
N ?= 200
CASES ?= 2000
STORY ?= failing
BIN := .venv/bin
TOOLS := .tools
# Measuring what is covered makes everything slower, so it is done where these are tested.
MEASURED := tests/judge tests/transitions tests/flags tests/watch
COVERED := rollback_daemon/judge/*,rollback_daemon/transitions/*,rollback_daemon/flags/*
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:

.PHONY: help demo test lint format crash oracle bench container package tools test-tools clean
.DEFAULT_GOAL := help

help:  ## List the commands
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed tools  ## Watch a rollout fail and be taken back, on real servers; STORY=bypass: one that somebody raised by a script
	@$(BIN)/python -m deploy.demo.run $(STORY)

test: .venv/installed-for-test tools test-tools lint  ## Lint, then every test, on every Prometheus found
	$(BIN)/python -m pytest $(MEASURED) --numprocesses=2 --dist=worksteal --cov --cov-report=
	$(BIN)/python -m coverage report --fail-under=90 --include='$(COVERED)'
	$(BIN)/python -m pytest $(MEASURED:%=--ignore=%) --numprocesses=4 --dist=worksteal  # they mostly wait: four share two cores well

lint: .venv/installed-for-test  ## Check style, types and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-for-test  ## Put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

crash: .venv/installed-for-test tools  ## Kill a busy daemon N=200 times and look at what is left
	$(BIN)/python tests/crash.py $(N)

oracle: .venv/installed-for-test tools  ## Compare CASES=2000 made-up rules and histories with promtool of every Prometheus found
	ORACLE_CASES=$(CASES) ORACLE_HOURS=2 $(BIN)/python -m pytest tests/oracle

bench: .venv/installed-for-test tools  ## Print start-up time, idle memory, speed, and what looking back costs
	$(BIN)/python tests/bench.py

container: .venv/installed tools  ## Build the container image, and run it shut in; takes root, buildah, debootstrap and docker compose
	@$(BIN)/python -m deploy.container.prove $(TOOLS)/container

package: .venv/installed-for-test  ## Build wheel and source archive into dist/, the same bytes for the same commit
	$(BIN)/python -m rollback_daemon.faces.cli.manual >deploy/man/rollbackd.1
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build -t wheel -t sdist -d dist

tools:  ## Get prometheus and alertmanager, unless they are here
	@deploy/install-tools.sh $(TOOLS)

test-tools:
	@deploy/install-test-tools.sh $(TOOLS)

clean:  ## Remove what the other commands laid here
	rm -rf .venv $(TOOLS) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find rollback_daemon tests deploy -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stamps, because the demo does not need the tests' packages; who has those has the demo's, too.
.venv/installed: pyproject.toml
	@deploy/install-venv.sh .venv '$(PYTHON)'
	@echo "make: installing rollback-daemon into .venv"
	@$(PIP) --editable .
	@touch $@

.venv/installed-for-test: pyproject.toml
	@deploy/install-venv.sh .venv '$(PYTHON)'
	@echo "make: installing rollback-daemon and what its tests need into .venv"
	@$(PIP) --editable '.[test]'
	@touch .venv/installed $@
