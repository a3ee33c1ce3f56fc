# Everything a newcomer needs: `make book`, `make test`. The environment is made on first use.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup book test test-full lint serve pdf bench lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

book: $(READY)
	$(BIN)/nth book --jobs 2

# Linters first: they fail fastest. A sample of the chapters runs at profile smoke, into a folder
# of its own.
test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

# Every chapter at profile smoke, and the slow tests of code that others cover as well.
test-full: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(READY)
	$(BIN)/nth serve

pdf: $(READY)
	$(BIN)/nth pdf

bench: $(READY)
	$(BIN)/nth bench

# No addresses of package registries in the lock file, so that it installs from any mirror.
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra book --extra cluster --extra test --universal --fork-strategy fewest \
	  --python-version 3.11 --no-emit-index-url --no-header --upgrade --quiet --output-file requirements.lock

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
