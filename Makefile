# Everything a newcomer needs: `make book`, `make test`. The environment is made on first use.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NEWEST := .venv-newest

# An environment stays as it was made: with another PYTHON it would be the old one that is tested.
ifeq ($(origin PYTHON),command line)
ifneq ($(wildcard $(BIN)/python),)
version = $(shell $(1) -c 'import sys; print(*sys.version_info[:2])')
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
$(error $(VENV) was made with another Python than $(PYTHON): remove it, or name a new folder with VENV=FOLDER)
endif
endif
endif

.PHONY: setup book test test-full test-newest lint register serve pdf bench lock clean

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

# Almost all of the tests' time is compilation, and this older way to compile takes a third less.
# The chapters compile as readers do, and so does test-newest, whose XLA may not know the flag.
test test-full: export XLA_FLAGS := --xla_cpu_use_fusion_emitters=false

# Linters first: they fail fastest. A sample of the chapters runs at profile smoke, into a folder
# of its own.
test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

# Every chapter at profile smoke, and the slow tests of code that others cover as well.
test-full: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# The library and the README as who installs them today has them: the newest Python at hand and the
# newest releases, nothing locked, made anew each time. The book's tools are held to the lock file.
test-newest: $(READY)
	rm -rf $(NEWEST)
	python=$$(.ci/newest-python) && $(BIN)/uv venv --quiet --python "$$python" $(NEWEST)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(NEWEST)/bin/python --upgrade --editable . \
	  --group pyproject.toml:library-tests
	@$(BIN)/uv pip list --quiet --python $(NEWEST)/bin/python | grep -E '^(jax|jaxlib|numpy|scipy) '
	$(NEWEST)/bin/python -m pytest --numprocesses 2 --dist worksteal -m "not slow" \
	  tests/nthlib src/nthlib src/nthbook/claims.py src/nthbook/plots.py README.md

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The designs of new claims go into the kept history; what stands there is never changed.
register: $(READY)
	$(BIN)/python -m nthbook.ledger.history

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
