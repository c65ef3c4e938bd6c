# Every target sets itself up: a virtual environment in .venv, installed from the hash-locked requirements in
# deploy/locks, and again only when a lock changes.

PYTHON ?= python3
PORT ?= $(or $(RIGHTFIT_PORT),8000)
PYTEST_ARGS ?=
PYTEST_SPREAD ?= -n 2 --dist loadgroup --no-loadscope-reorder
CHAOS_ARGS ?=
BENCH_ARGS ?= --size --overhead --service --queue --load --scrape

BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
LOCKS := deploy/locks
AS_ROOT = $(shell test "$$(id -u)" = 0 || command -v sudo)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.PHONY: demo test long serve lint format bench chaos network document architectures verdicts browser promtool screenshots locks clean

demo: $(READY)  ## train two models on a stack of its own and show what came of it
	$(BIN)/rightfit demo

test: $(READY)  ## the tests
	$(BIN)/pytest $(PYTEST_SPREAD) $(PYTEST_ARGS)

long: $(READY) browser  ## the tests that take minutes: every page in a browser, every recipe of the cookbook
	TEST_BROWSER=required $(BIN)/pytest -m long $(PYTEST_ARGS)

serve: $(READY)  ## the stack on http://127.0.0.1:$(PORT) until Ctrl-C
	@RIGHTFIT_PORT=$(PORT) exec $(BIN)/rightfit serve

lint: $(READY) promtool  ## formatting, style, types, the direction of imports; images, manifests, dashboard and alerts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/*.yaml
	$(BIN)/python -m deploy.validate
	$(BIN)/python -m deploy.monitoring.check

format: $(READY)  ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) $(BENCH_READY)  ## the same training job against what a user would pick instead; an hour
	$(BIN)/python -m tests.benchmarks.bench $(BENCH_ARGS)

chaos: $(READY)  ## everything that can die does, while 200 jobs run, over both databases; half an hour
	$(BIN)/python -m tests.chaos.trial $(CHAOS_ARGS)

network: $(READY)  ## two workers in network namespaces, one of them cut off for longer than a lease; as root
	unshare --net $(BIN)/python -m tests.network.trial

document: $(READY)  ## thousands of requests made up after the API document, every answer checked against it
	$(BIN)/python -m tests.document

golden: $(READY)  ## how well the verdicts agree with labelled runs, and what the cures do to real ones; 15 minutes
	$(BIN)/python -m tests.golden.scoring > tests/golden/scores.md
	$(BIN)/python -m tests.golden.forks

architectures: $(READY)  ## count torchvision's networks anew, for the plans of the API
	$(BIN)/python -m workers.tools.describe

verdicts: $(READY)  ## draw the pictures of the pages on verdicts anew
	$(BIN)/python -m tests.golden.pictures

browser:  ## Debian's Chromium, for the tests of the pages, where there is none
	command -v chromium || command -v chromium-browser || { \
		$(AS_ROOT) apt-get update && $(AS_ROOT) apt-get install --yes --no-install-recommends chromium; }

promtool: $(READY)  ## Debian's promtool, without the server that its package is for, where there is none
	command -v promtool || test -x $(BIN)/promtool || { folder=$$(mktemp -d) && { \
		(cd $$folder && { apt-get download prometheus || { $(AS_ROOT) apt-get update && apt-get download prometheus; }; } && \
			dpkg -x prometheus_*.deb .) && \
		install $$folder/usr/bin/promtool $(BIN)/promtool || \
		echo "no promtool: the alerts are parsed, their tests are left out"; }; rm -r $$folder; }

screenshots: $(READY)  ## every page at the width of a phone and of a desk, in both themes, into ./screenshots
	$(BIN)/python -m tests.screenshots

locks: $(READY)  ## resolve the requirements of pyproject.toml anew
	$(COMPILE) --extra api --extra otel pyproject.toml --output-file $(LOCKS)/api.txt
	$(COMPILE) --extra worker --extra otel pyproject.toml --output-file $(LOCKS)/worker.txt
	$(COMPILE) --extra api --extra worker --extra otel --extra dev pyproject.toml --output-file $(LOCKS)/dev.txt
	$(COMPILE) --group bench --constraint $(LOCKS)/dev.txt --output-file $(LOCKS)/bench.txt

clean:  ## forget the set-up
	rm -rf .venv .venv-bench *.egg-info

$(READY): $(LOCKS)/setup.txt $(LOCKS)/dev.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Rightfit needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(LOCKS)/setup.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(READY)

$(BENCH_READY): $(LOCKS)/bench.txt | $(READY)
	test -x .venv-bench/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-bench
	$(BIN)/uv pip sync --quiet --python .venv-bench/bin/python --require-hashes $(LOCKS)/bench.txt
	touch $(BENCH_READY)
