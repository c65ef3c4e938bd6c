# Every target installs what it needs: a virtual environment in .venv with the hash-locked requirements of deploy/locks.
# It is updated only when a lock changes.

PYTHON ?= python3
PORT ?= $(or $(RIGHTFIT_PORT),8000)
PYTEST_ARGS ?=
PYTEST_SPREAD ?= -n 3 --dist loadgroup --no-loadscope-reorder
CHAOS_ARGS ?=
BENCH_ARGS ?= --size --overhead --limit --service --fixed_cost --queue --load --scrape --slots

BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
LOCKS := deploy/locks
AS_ROOT = $(shell test "$$(id -u)" = 0 || command -v sudo)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

# Bytecode is kept: without it each process that imports torch compiles torch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test long serve lint format bench chaos network document architectures verdicts browser promtool screenshots locks clean

demo: $(READY)  ## train two networks on a stack of its own and show the results
	$(BIN)/rightfit demo

test: $(READY)  ## run the tests, without those that take minutes
	$(BIN)/pytest $(PYTEST_SPREAD) $(PYTEST_ARGS)

long: $(READY) browser  ## run the slow tests: every page in a browser, every recipe of the cookbook
	TEST_BROWSER=required $(BIN)/pytest -m long $(PYTEST_ARGS)

serve: $(READY)  ## run the stack on http://127.0.0.1:$(PORT) until Ctrl-C
	@RIGHTFIT_PORT=$(PORT) exec $(BIN)/rightfit serve

lint: $(READY) promtool  ## check format, style, types, imports, images, manifests, dashboard and alerts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/*.yaml
	$(BIN)/python -m deploy.validate
	$(BIN)/python -m deploy.monitoring.check

format: $(READY)  ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) $(BENCH_READY)  ## run the same training with Rightfit and with other tools; an hour
	$(BIN)/python -m tests.benchmarks.bench $(BENCH_ARGS)

chaos: $(READY)  ## kill processes of every kind while 200 jobs run, on both databases; about an hour
	$(BIN)/python -m tests.chaos.trial $(CHAOS_ARGS)

network: $(READY)  ## cut one of two workers off from the network for longer than its lease; as root
	unshare --net $(BIN)/python -m tests.network.trial

document: $(READY)  ## send thousands of generated requests and check the answers against the API document
	$(BIN)/python -m tests.document

golden: $(READY)  ## score the verdicts on labelled runs, measure the suggestions on real runs; 15 minutes
	$(BIN)/python -m tests.golden.scoring > tests/golden/scores.md
	$(BIN)/python -m tests.golden.drawn_scores > tests/golden/drawn.md
	$(BIN)/python -m tests.golden.costs > tests/golden/costs.md
	$(BIN)/python -m tests.golden.forks

architectures: $(READY)  ## count the parameters of torchvision's networks again, for the plans of the API
	$(BIN)/python -m workers.tools.describe

verdicts: $(READY)  ## redraw the images of the verdict pages
	$(BIN)/python -m tests.golden.pictures

browser:  ## install Debian's Chromium for the browser tests, if there is none
	command -v chromium || command -v chromium-browser || { \
		$(AS_ROOT) apt-get update && $(AS_ROOT) apt-get install --yes --no-install-recommends chromium; }

promtool: $(READY)  ## download promtool from Debian's package, without the server, if there is none
	command -v promtool || test -x $(BIN)/promtool || { folder=$$(mktemp -d) && { \
		(cd $$folder && { apt-get download prometheus || { $(AS_ROOT) apt-get update && apt-get download prometheus; }; } && \
			dpkg -x prometheus_*.deb .) && \
		install $$folder/usr/bin/promtool $(BIN)/promtool || \
		echo "promtool is not available: the alerts are parsed, but their tests are not run"; }; rm -r $$folder; }

screenshots: $(READY)  ## save every page at two widths and in both themes to ./screenshots
	$(BIN)/python -m tests.screenshots

locks: $(READY)  ## resolve the requirements of pyproject.toml again
	$(COMPILE) --extra api --extra otel pyproject.toml --output-file $(LOCKS)/api.txt
	$(COMPILE) --extra worker --extra otel pyproject.toml --output-file $(LOCKS)/worker.txt
	$(COMPILE) --extra api --extra worker --extra otel --extra dev pyproject.toml --output-file $(LOCKS)/dev.txt
	$(COMPILE) --no-config --group bench --constraint $(LOCKS)/dev.txt --output-file $(LOCKS)/bench.txt

clean:  ## remove the virtual environments
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
