# `make rates` and `make test` need Python >= 3.11 and make, nothing else: they make .venv themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

.PHONY: help rates results figures gallery test lint bench notebooks docs clean

help:
	@echo "make rates      run the quick study and draw figures/quick/quick.png"
	@echo "make results    unpack the cells that ship into results/, where there are none yet"
	@echo "make figures    draw every study that has results, pack its cells, and draw the evidence"
	@echo "make gallery    draw the figures again from the tables beside them"
	@echo "make test       run the tests"
	@echo "make lint       check the style"
	@echo "make bench      time the kernels and the fits against baselines"
	@echo "make notebooks  execute notebooks/*.py and rewrite the .ipynb files"
	@echo "make docs       build the documentation, docs/_build/html/index.html"
	@echo "make clean      remove the environment and the results"

rates: $(VENV)/.run
	$(BIN)/hmoe run quick --jobs $(JOBS)
	$(BIN)/hmoe rates quick
	$(BIN)/hmoe plot quick --out figures

results: $(VENV)/.run
	$(BIN)/hmoe results --all

figures: $(VENV)/.run
	for file in results/*.sqlite; do $(BIN)/hmoe plot $$(basename $$file .sqlite) --out figures || exit 1; done
	for file in results/*.sqlite; do [ -e $$file-wal ] || gzip -9nc $$file > figures/cells/$$(basename $$file).gz; done
	$(BIN)/hmoe evidence

gallery: $(VENV)/.run
	$(BIN)/hmoe gallery

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

notebooks: $(VENV)/.dev
	$(BIN)/python -m notebooks

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) results docs/_build docs/generated

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@ $(VENV)/.run

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@ $(VENV)/.run
