# `make help` lists what a person types. CI runs `make check`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CDK := npx --no-install cdk
ENVIRONMENT ?= dev
export NODE_NO_WARNINGS := 1
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install synth test lint types check bench fmt snapshots schema requirements wheel docs clean

help: ## what you can type here
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; run: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)

# Not compiled: Python compiles what it imports, and all of the CDK would take half a minute.
$(VENV)/.app: requirements.txt | $(BIN)/python
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.app
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.cdk: package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

install: $(VENV)/.dev node_modules/.cdk ## the pinned Python packages and the pinned CDK CLI, once

synth: $(VENV)/.app node_modules/.cdk ## CloudFormation of environments/$(ENVIRONMENT).yaml into cdk.out, no account needed
	$(CDK) synth --quiet --no-notices -c environment=$(ENVIRONMENT)
	@echo "cdk.out/ holds the templates to review:"; ls cdk.out/*.template.json

test: install ## the tests: no account, no network beyond the registries
	$(BIN)/python -m pytest -n auto --dist loadscope $(COVERAGE)

lint: install ## ruff, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: install ## mypy --strict, the library and each function's code
	$(BIN)/mypy
	MYPYPATH=lambda $(BIN)/mypy lambda

check: COVERAGE := --cov --cov-report=term
check: lint types test ## what CI runs: lint, types, and `make test` with coverage

bench: install ## ours beside the stock library, into benchmarks/results.md
	$(BIN)/python benchmarks/run.py

fmt: install ## format and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

snapshots: install ## rewrite the template snapshots after an intended change
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/stacks

schema: install ## rewrite what is generated: environments/schema.json, the controllers' page and stub
	$(BIN)/python -c "from pathlib import Path; from irsa_stack.controllers.catalogue import write; write(Path('docs/controllers.md'))"
	$(BIN)/python -m irsa_stack.environment.environment_file > environments/schema.json

wheel: install ## the library as a wheel, in dist/
	$(BIN)/python -m build --wheel --no-isolation

requirements: install ## compile and pin requirements*.txt from pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" --extra app --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" --extra app -c requirements-dev.txt pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" --group e2e -o requirements-e2e.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" --group docs -o requirements-docs.txt

.venv-docs/.installed: requirements-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --no-compile --disable-pip-version-check -r requirements-docs.txt
	@touch $@

docs: .venv-docs/.installed ## the documentation as pages, in site/, with strict links
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

include tests/netfilter/netfilter.mk
include rehearsal/rehearsal.mk

clean: ## remove what the other targets made
	rm -rf $(VENV) .venv-docs node_modules cdk.out dist build site .pytest_cache .mypy_cache .ruff_cache
