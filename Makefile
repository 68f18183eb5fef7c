# `make` alone lists what there is. Every target works as the first command on a fresh clone.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.PHONY: help setup demo demo-full test clients check format bench clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Make .venv with everything that development needs

$(STAMP): requirements.lock pyproject.toml scripts/preflight.sh
	@PYTHON="$(PYTHON)" bash scripts/preflight.sh
	@echo "Setting up .venv: 2 GB, a minute or two ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Run the main job: deploy, load-test, retune, load-test again, compare
	@$(BIN)/python examples/demo.py

demo-full: demo ## Play every chapter of the demonstration: the main job, then auto scaling
	@$(BIN)/python -m examples.demo_scaling

# They mostly wait: for processes to start, and for time to pass that a claim is about. The files go
# to the processes in order, each file whole, for its tests share what they start.
test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -n 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder

clients: $(STAMP) ## Run the clients that others wrote (SDK v2 and v3, AWS CLI, JavaScript, Locust, scikit-learn); one: CLIENT=aws_cli
	@$(BIN)/python clients/run.py $(CLIENT)

check: $(STAMP) ## Lint, types and format, without changing anything
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format

bench: $(STAMP) ## Measure against named peers; takes long, wants an idle machine
	$(BIN)/python -m benchmarks

clean: ## Remove what setup and the tools made
	rm -rf $(VENV) .clients .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis
