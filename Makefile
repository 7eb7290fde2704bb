PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := -m pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help demo test test-slow test-matrix coverage lint docs lock package wheels bench soak clean install uninstall

help:  ## this list
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.runtime  ## try it, without an account
	@echo 'The command line:  $(BIN)/oss-signer --help'
	$(BIN)/python run.py demo $(ARGS)

test: $(VENV)/.dev  ## all tests but the slow ones
	tests/setup
	$(BIN)/python $(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/.dev  ## fault scenarios, soak, fuzzing, builds, systemd
	tests/setup
	$(BIN)/python $(PYTEST) -m slow $(ARGS)

test-matrix: package  ## the wheel and the tests on Debian 12 (Python 3.11) and 13 (3.13); needs root and debootstrap
	tools/matrix $(RELEASES)

coverage: $(VENV)/.dev  ## test, with line coverage
	tests/setup
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run $(PYTEST) -m "not slow" $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --include='signer/*' --fail-under=90

lint: $(VENV)/.dev  ## style, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy signer localcloud tests bench tools run.py
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(VENV)/.dev  ## regenerate docs/configuration.md in both languages, the JSON Schema and OpenAPI
	$(BIN)/python -m tools.configuration_docs > docs/configuration.md
	$(BIN)/python -m tools.json_schema > config/oss-signer.schema.json
	cp config/oss-signer.schema.json signer/definitions/schema.json
	cp config/oss-signer.yaml signer/demo/oss-signer.yaml
	$(BIN)/python -m tools.openapi > signer/api/openapi.json
	$(BIN)/python -m tools.configuration_docs zh-CN > docs/configuration.zh-CN.md

lock: $(VENV)/.dev  ## requirements.lock: requirements.txt with hashes, for make install and images
	$(BIN)/uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes --no-annotate --quiet \
	  --custom-compile-command 'make lock' --output-file requirements.lock

package: $(VENV)/.dev  ## a release in dist/: the wheel, the upload library's tarball, the SBOM and all licences
	mkdir -p dist
	systemd/build-wheel $(BIN)/python dist --no-build-isolation
	cd miniprogram/upload && npm pack --silent --pack-destination '$(CURDIR)/dist'
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.lock \
	  --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.cdx.json
	$(BIN)/uv tool run --quiet pip-licenses==5.5.5 --python $(BIN)/python --with-license-file --no-license-path \
	  --packages $$(sed -n 's/^\([A-Za-z0-9_.-]*\)==.*/\1/p' requirements.txt) \
	  --format=plain-vertical --output-file dist/LICENSES.txt

wheels:  ## all that an offline make install needs, in dist/wheels
	rm -rf dist/wheels
	mkdir -p dist/wheels
	# Without conditions: another patch release of Python may need what this one does not.
	sed 's/ ; .*\\$$/ \\/' requirements.lock > dist/wheels/requirements.lock
	$(PYTHON) -m pip --disable-pip-version-check --quiet wheel --no-deps -r dist/wheels/requirements.lock --wheel-dir dist/wheels
	systemd/build-wheel $(PYTHON) dist/wheels

bench: $(VENV)/.dev  ## measure the figures of docs/performance.md
	bench/setup
	$(BIN)/python -m bench

soak: $(VENV)/.dev  ## random faults of the cloud for two minutes, then of everything for ten; SOAK_SECONDS changes both
	tests/setup
	SOAK_SECONDS=$${SOAK_SECONDS:-130} $(BIN)/python -m pytest -s tests/e2e/soak
	SOAK_SECONDS=$${SOAK_SECONDS:-600} $(BIN)/python -m pytest -s tests/faults/soak

install uninstall:  ## this machine's systemd service
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' UNITDIR='$(UNITDIR)' WORKERS='$(WORKERS)' PYTHON='$(PYTHON)' \
	WHEELS='$(WHEELS)' $(if $(filter undefined,$(origin PLUGINS)),,PLUGINS='$(PLUGINS)') VENV_FROM='$(VENV_FROM)' \
	ALLOW_HOME_PYTHON='$(ALLOW_HOME_PYTHON)' systemd/$@

clean:  ## remove what the other targets made
	rm -rf $(VENV) tests/oss2/.venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find tests miniprogram -name node_modules -prune -exec rm -rf {} +

# A virtual environment that is incomplete, as without Debian's python3-venv, would look finished to the next make.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo '$(PYTHON) is missing or older than 3.11; run make $(MAKECMDGOALS) PYTHON=python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }

$(VENV)/.runtime: requirements.txt localcloud/requirements.txt | $(VENV)/bin/oss-signer $(VENV)/bin/oss-localcloud
	$(PIP) install -r requirements.txt -r localcloud/requirements.txt
	touch $@

# The command of a checkout; an installed one comes from pyproject.toml.
$(VENV)/bin/oss-signer: | $(VENV)/bin/python
	printf '#!/bin/sh\nexec "%s" "%s" "$$@"\n' '$(CURDIR)/$(BIN)/python' '$(CURDIR)/run.py' > $@
	chmod +x $@

$(VENV)/bin/oss-localcloud: | $(VENV)/bin/python
	printf '#!/bin/sh\nPYTHONPATH="%s$${PYTHONPATH:+:$$PYTHONPATH}" exec "%s" -m localcloud "$$@"\n' '$(CURDIR)' '$(CURDIR)/$(BIN)/python' > $@
	chmod +x $@

$(VENV)/.dev: requirements.txt localcloud/requirements.txt requirements-dev.txt | $(VENV)/bin/oss-signer $(VENV)/bin/oss-localcloud
	$(PIP) install -r requirements-dev.txt
	touch $@ $(VENV)/.runtime
