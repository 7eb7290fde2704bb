# demo: try it, no account · test: all but the slow tests · test-slow: soak, fuzzing, builds, systemd · coverage: test, with line coverage · lint: style and types · docs: regenerate docs/configuration.md, the JSON Schema and OpenAPI · bench: figures · soak: faults for two minutes · install: onto this machine (systemd)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := -m pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow coverage lint docs bench soak clean install uninstall

demo: $(VENV)/.runtime
	$(BIN)/python run.py demo $(ARGS)

test: $(VENV)/.dev
	tests/setup
	$(BIN)/python $(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/.dev
	tests/setup
	$(BIN)/python $(PYTEST) -m slow $(ARGS)

coverage: $(VENV)/.dev
	tests/setup
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run $(PYTEST) -m "not slow" $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --include='signer/*' --fail-under=90

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy signer localcloud tests bench tools run.py
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(VENV)/.dev
	$(BIN)/python -m tools.configuration_docs > docs/configuration.md
	$(BIN)/python -m tools.json_schema > config/oss-signer.schema.json
	cp config/oss-signer.schema.json signer/definitions/schema.json
	$(BIN)/python -m tools.openapi > signer/api/openapi.json

bench: $(VENV)/.dev
	bench/setup
	$(BIN)/python -m bench

soak: $(VENV)/.dev
	tests/setup
	SOAK_SECONDS=$${SOAK_SECONDS:-130} $(BIN)/python -m pytest -s tests/e2e/soak

install uninstall:
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' UNITDIR='$(UNITDIR)' WORKERS='$(WORKERS)' PYTHON='$(PYTHON)' \
	WHEELS='$(WHEELS)' VENV_FROM='$(VENV_FROM)' systemd/$@

clean:
	rm -rf $(VENV) tests/oracle/node_modules miniprogram/upload/node_modules tests/miniprogram_sample/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt localcloud/requirements.txt | $(VENV)/bin/python
	$(PIP) install -r requirements.txt -r localcloud/requirements.txt
	touch $@

$(VENV)/.dev: requirements.txt localcloud/requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(PIP) install -r requirements-dev.txt
	touch $@ $(VENV)/.runtime
