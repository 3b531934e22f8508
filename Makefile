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

.PHONY: help install synth access diff review test lint types check bench fmt snapshots schema requirements wheel docs clean

help: ## what you can type here
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo; echo "ENVIRONMENT=prod chooses environments/prod.yaml: make synth ENVIRONMENT=prod. Default: dev."

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; run: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)

# Not compiled: Python compiles what it imports, and all of the CDK would take half a minute.
$(VENV)/.app: requirements.txt | $(BIN)/python
	@echo "installing the CDK and what the app needs into $(VENV), about 40 s"
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.app
	@echo "installing what tests and linters need into $(VENV), about 30 s"
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.cdk: package-lock.json
	@echo "installing the pinned CDK CLI into node_modules, about 5 s"
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

install: $(VENV)/.dev node_modules/.cdk ## the pinned Python packages and the pinned CDK CLI, once

synth: $(VENV)/.app node_modules/.cdk ## CloudFormation of environments/dev.yaml, or ENVIRONMENT=prod, into cdk.out; no account needed
	$(CDK) synth --quiet --no-notices -c environment=$(ENVIRONMENT)
	@echo "cdk.out/ holds the templates to review:"
	@$(BIN)/python -c 'import json; [print("cdk.out/" + a["properties"]["templateFile"]) for a in json.load(open("cdk.out/manifest.json"))["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]'
	@$(BIN)/python -m irsa_stack access cdk.out --reports cdk.out

access: $(VENV)/.app ## who can do what, in the cdk.out of the last synth
	@$(BIN)/python -m irsa_stack access cdk.out --reports cdk.out

diff: $(VENV)/.app ## what the last synth changes of access: BASE=an earlier cdk.out, or a commit that has one
	@test -n "$(BASE)" || { echo "BASE must be an earlier cdk.out or a commit that has one, got none; run: make diff BASE=old.cdk.out"; exit 2; }
	@if test -e "$(BASE)"; then $(BIN)/python -m irsa_stack diff "$(BASE)" cdk.out; else $(BIN)/python -m irsa_stack diff cdk.out --against "$(BASE)"; fi

review: install ## your environment files, all of them: the review of their templates, the proof of their trust
	$(BIN)/python -m tests.prove_environments

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
check: lint types test review ## what CI runs: lint, types, `make test` with coverage, `make review`

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
