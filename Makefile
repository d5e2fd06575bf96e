# Everything a newcomer or CI needs. `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo install check format test test-slow site docs bench fetch-live clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp per set of extras, newer than what it was installed from: a second call installs nothing.
# The demo has what its next steps need too: `vadose serve`, `vadose export`.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[report,serve,publish]'
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[all,dev,docs,oracle]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## downscale the bundled real sample and write runs/demo/report.html
	$(BIN)/vadose demo --out runs/demo --overwrite

install: $(VENV)/.all  ## install everything into .venv, pinned by constraints.txt

check: $(VENV)/.all  ## ruff, mypy --strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.all  ## let ruff write the layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/.all  ## the quick tests, with coverage, and the site
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not network" --cov --cov-report=term
	$(BIN)/python -m pytest -q docs --doctest-glob='*.md'
	$(MAKE) site

test-slow: $(VENV)/.all  ## all tests that need no network
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not network"

site: $(VENV)/.all  ## run the tutorials and build the documentation into site/
	OMP_NUM_THREADS=1 $(BIN)/python scripts/docs_pages.py build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs: $(VENV)/.all site  ## the site, and every example in code and pages run
	$(BIN)/python -m pytest -n 2 src docs --doctest-glob='*.md'

bench: $(VENV)/.all  ## the table of skill on the bundled sample
	$(BIN)/python benchmarks/sample_skill.py

fetch-live: $(VENV)/.all  ## try one small file of each archive with your own accounts (100 MB; needs the network)
	$(BIN)/python scripts/fetch_live.py

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
