# demo: try it, no account · test: everything · lint: style and types · bench: figures · soak: faults for two minutes
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint bench soak clean

demo: $(VENV)/.runtime
	$(BIN)/python run.py demo $(ARGS)

test: $(VENV)/.dev
	tests/setup
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --include='signer/*' --fail-under=90

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy signer localcloud tests bench run.py

bench: $(VENV)/.dev
	$(BIN)/python -m bench.slow_sts
	$(BIN)/python -m bench.scale

soak: $(VENV)/.dev
	tests/setup
	SOAK_SECONDS=$${SOAK_SECONDS:-130} $(BIN)/python -m pytest -s tests/e2e/test_soak.py

clean:
	rm -rf $(VENV) tests/oracle/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt localcloud/requirements.txt | $(VENV)/bin/python
	$(PIP) install -r requirements.txt -r localcloud/requirements.txt
	touch $@

$(VENV)/.dev: requirements.txt localcloud/requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(PIP) install -r requirements-dev.txt
	touch $@ $(VENV)/.runtime
