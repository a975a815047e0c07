# `make demo` and `make test` set up all they need in .venv, in either order.
PYTHON ?= python3
BIN := .venv/bin
RULE := deploy/kubernetes/components/prometheus-rule/prometheus-rule.yaml
PIP := $(BIN)/pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --no-compile# what is imported is compiled then
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras --upgrade

.PHONY: help demo test coverage test-long soak bench lint mutate lock schema rules wheel release clean
help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/demo  ## try it all on this machine: a sandbox gateway, a real Vault-API server, two rotations
	$(BIN)/rotator sandbox

test: .venv/ready lint  ## run the linter, the types, the import rules and all tests
	$(BIN)/pytest -n 4 --dist worksteal

coverage: .venv/ready  ## run all tests once more, much slower, to see what they do not reach
	$(BIN)/pytest -n 4 --dist worksteal --cov --cov-report=term

test-long: .venv/ready  ## the same against faults, for hours: random histories, replicas, outages, hostile answers
	ROTATOR_LONG=1 $(BIN)/pytest -n 2 --dist worksteal tests/test_model.py tests/test_boundaries.py tests/test_outages.py \
		tests/test_replicas.py tests/test_stale_reads.py tests/test_hostile_*.py tests/test_model_lies.py \
		tests/test_small_worlds.py tests/test_upgrade.py

soak: .venv/ready  ## months in minutes: the long-running mode under light faults, and what it needs
	$(BIN)/python -m tests.soak

bench: .venv/ready  ## see how fast and how polite it is, beside the bare calls: some minutes
	$(BIN)/python -m tests.bench $(PARTS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

mutate: .venv/ready  ## see which changes of the deciding and acting modules no test would notice; takes long
	$(BIN)/uv pip install --quiet --group mutation
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mutmut run
	$(BIN)/mutmut results

lock: .venv/ready  ## renew requirements*.lock from pyproject.toml
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra sandbox -o requirements-sandbox.lock
	$(COMPILE) --group build -o requirements-build.lock
	$(COMPILE) pyproject.toml --extra sandbox --group dev -o requirements-dev.lock

schema: .venv/ready  ## renew the JSON Schemas, of the config and of the output, and docs/json.md from them
	$(BIN)/python -m rotator.config.json_schema > config/rotator.schema.json
	$(BIN)/python -m rotator.show.output_schema > rotator/show/output.schema.json
	$(BIN)/python -m tests.json_page > docs/json.md

# The operator wants the rules in a resource of its own. All but what stands before `groups` is the same.
rules:  ## renew the PrometheusRule in deploy/kubernetes from deploy/prometheus/rules.yaml
	{ sed '/^spec:/,$$d' $(RULE); echo spec:; sed -n '/^groups:/,$$p' deploy/prometheus/rules.yaml | sed 's/^./  &/'; } > $(RULE).new
	mv $(RULE).new $(RULE)

wheel: .venv/ready  ## build dist/apimall_rotator-*.whl
	rm -rf dist
	$(PIP) wheel --no-deps --no-build-isolation -w dist .

# Into DIST: the tests build their own.
DIST := dist
release: .venv/ready  ## build dist/: wheel, sdist, the SBOM of requirements.lock, and checksums; the same bits each time
	rm -rf $(DIST)
	$(BIN)/hatchling build -d $(DIST)
	$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --validate -o $(DIST)/apimall_rotator-$$($(BIN)/hatchling version).cdx.json
	cd $(DIST) && LC_ALL=C sha256sum apimall_rotator-* > SHA256SUMS

clean:  ## remove everything that make made
	rm -rf .venv dist mutants .mypy_cache .ruff_cache .hypothesis .coverage*

# The program, its libraries and OpenBao; the build backend stands aside, as the program does not need it.
# Any other lock makes all anew: what is no longer in it must not be there.
.venv/demo: $(wildcard requirements*.lock) pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rotator needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear .venv
	$(INSTALL) --require-hashes -r requirements-sandbox.lock
	$(INSTALL) --require-hashes -r requirements-build.lock --target .venv/backend
	PYTHONPATH=.venv/backend $(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

# Without .venv/demo while it lasts: when it is broken off, the next make begins from nothing.
.venv/ready: .venv/demo
	rm .venv/demo
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(PIP) download --no-deps --require-hashes -r requirements-sandbox.lock --dest .venv/wheels  # the tests install offline
	touch .venv/demo $@
