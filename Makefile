# Two commands set up everything themselves, in .venv: `make mini` does the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: mini test slow matrix lint docs browser

mini: $(VENV)/.ready
	$(BIN)/smc-harness --collect plugins/

test: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m "not slow"

slow: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m slow

# the oldest and the newest libraries that are promised, each in an environment of its own
matrix: $(VENV)/.ready
	$(BIN)/nox $(addprefix --session ,$(SESSION))

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet action.yml examples

# the site, in build/docs; a warning is an error, and so is a reference to a name of ours that is not there
docs: $(VENV)/.ready
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --conf-dir docs . build/docs

# the tests of pages need Chromium, and skip where there is none
browser:
	@command -v chromium >/dev/null || ./.ci/install_chromium

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	$(BIN)/python -m pip check
# it asks for an older transformers than we develop on, but its pruning works with this one
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llmcompressor
	touch $@
