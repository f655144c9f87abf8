# make run    set up .venv once, then prepare, train, generate, evaluate, render: ends in runs/quickstart/report.html
# make test   the test suite: offline, no GPU, some eight minutes on two slow cores (make test-all adds the slow ones)
# make coverage  which lines of the three packages the fast tests run
# make bench  speed and memory, ours against the peers that are installed: under 20 minutes on two idle cores
# make mutants  do the tests notice small changes to the code that decides results? A sample: some 20 minutes on one core
# make audit   known vulnerabilities of what requirements.lock pins, and its bill of materials (CycloneDX) in dist/
# make studio the web page and the REST API on this machine, opened in the browser: http://127.0.0.1:8017/
# make check  linter, type checker, the numbers of the pages, and the documentation
# make docs   the site, into docs/_build/html; a broken link fails
# PYTHON=python3.12 chooses the interpreter that .venv is made from.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PIP_OPTIONS ?=

.PHONY: run test test-all coverage bench mutants audit studio check docs format clean

run: $(READY)
	$(BIN)/python -m experiments.quickstart

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not gpu"

# With the readers of the extras hub and m4a, whose tests are skipped without them; versions that are pinned stay.
test-all: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c requirements.lock \
	  datasets pyarrow 'av>=14'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not gpu"

# Which lines the fast tests run, subprocesses included; the page is in build/coverage. Takes about twice as long.
coverage: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) 'coverage>=7.10,<8'
	mkdir -p build/coverage
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -n 2 -m "not slow and not gpu"
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage html --quiet
	$(BIN)/python -m coverage report --skip-covered --sort=cover

# Peers that are not installed are 'not run'; `.venv/bin/pip install -e .[bench]` installs them.
bench: $(READY)
	test -f data/folk/summary.json || $(BIN)/python -m symbolic prepare aird oneill ryan -o data/folk
	$(BIN)/python -m benchmarks.decoding --models gpt2-6m mamba-6m --tokens 128 --repeats 3
	$(BIN)/python -m benchmarks.training --steps 2 --repeats 3
	$(BIN)/python -m benchmarks.preparing --repeats 1 --music21-tunes 300
	$(BIN)/python -m experiments.pages

# Cosmic Ray is not among what the lock file pins: nothing else needs it.
mutants: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) 'cosmic-ray>=8.7,<9'
	$(BIN)/python -m experiments.mutants

# The two tools live beside .venv, so that they are not among what they audit. Asking for vulnerabilities needs the network.
audit:
	test -x .audit/bin/python || $(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) 'pip-audit>=2.9,<3' 'cyclonedx-bom>=7,<8'
	mkdir -p dist
	.audit/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type library \
	  --output-reproducible --no-validate -o dist/sbom.cdx.json
	.audit/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

studio: $(READY)
	$(BIN)/python -m studio serve --open

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy symbolic audio_bridge studio experiments benchmarks
	$(BIN)/python -m experiments.pages --check
	$(MAKE) docs

docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamp is written last, so that a set-up that was cut off is done again.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or later is needed; name one with: make run PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) --no-deps -e .
	touch $@

clean:
	rm -rf .venv .audit build dist docs/_build docs/commands docs/reference *.egg-info .mypy_cache .pytest_cache .ruff_cache
