# `make rates` and `make test` need Python >= 3.11 and make, nothing else: they make .venv themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOWEST := $(VENV)-lowest
JOBS   ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

.PHONY: help rates results figures gallery test test-lowest lint types bench notebooks docs dist clean

help:
	@echo "make rates        run the quick study and draw figures/quick/quick.png"
	@echo "make results      unpack the cells that ship into results/, where there are none yet"
	@echo "make figures      draw every study that has results, pack its cells, and draw the evidence"
	@echo "make gallery      draw the figures again from the tables beside them"
	@echo "make test         run the tests"
	@echo "make test-lowest  some tests with the oldest releases of what is needed that pyproject.toml allows"
	@echo "make lint         check the style"
	@echo "make types        check the annotations"
	@echo "make bench        time the kernels and the fits against baselines"
	@echo "make notebooks    execute notebooks/*.py and rewrite the .ipynb files"
	@echo "make docs         build the documentation, docs/_build/html/index.html"
	@echo "make dist         build dist/, and see that it works where nothing else is"
	@echo "make clean        remove the environment and the results"

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

# What an old release asks for comes as new as it can be, and may call it deprecated.
test-lowest: $(VENV)/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct --editable ".[sklearn,dask,theory,formula]"
	$(BIN)/uv pip install --quiet --python $(LOWEST) pytest pytest-xdist hypothesis shellingham
	$(LOWEST)/bin/python -m pytest --numprocesses $(JOBS) --dist loadfile -W default::DeprecationWarning \
	    $(addprefix tests/test_,measure.py sampling.py likelihood.py frames.py numbers.py names.py answers.py categorical.py)

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

notebooks: $(VENV)/.dev
	$(BIN)/python -m notebooks

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

dist: $(VENV)/.dev
	.ci/dist $(BIN)

clean:
	rm -rf $(VENV) $(LOWEST) results dist docs/_build docs/generated

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
