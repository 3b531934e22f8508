# The rehearsal: a real `cdk deploy` with no AWS account. See docs/rehearsal.md.
E2E_VENV := .venv-e2e
# The newest Python here; functions run on it too.
E2E_PYTHON ?= $(firstword $(shell for version in 3.14 3.13 3.12 3.11; do \
	found=$$(command -v python$$version) && $$found -c 'import ssl' 2>/dev/null && echo $$found; \
	ls "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python3 2>/dev/null || true; done) $(PYTHON))

.PHONY: control-plane deploy-local destroy-local test-e2e

$(E2E_VENV)/.e2e: requirements-e2e.txt
	test -x $(E2E_VENV)/bin/python || $(E2E_PYTHON) -m venv $(E2E_VENV)
	$(E2E_VENV)/bin/pip install --quiet --no-compile --disable-pip-version-check -r requirements-e2e.txt
	@touch $@

control-plane: ## build the Kubernetes control planes of the rehearsal, once
	$(PYTHON) rehearsal/control-plane/build.py 1.29 >/dev/null
	$(PYTHON) rehearsal/control-plane/build.py 1.36 >/dev/null

deploy-local: install $(E2E_VENV)/.e2e ## deploy environments/local.yaml into an account on this machine, until Ctrl-C
	$(E2E_VENV)/bin/python -m rehearsal.local up

destroy-local: $(E2E_VENV)/.e2e ## destroy what deploy-local deployed, and prove that nothing is left
	$(E2E_VENV)/bin/python -m rehearsal.local down

test-e2e: install control-plane $(E2E_VENV)/.e2e ## the end-to-end tests: deploy, use, deny, update, destroy
	$(E2E_VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=12 --confcutdir=tests/e2e tests/e2e
