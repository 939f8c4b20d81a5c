# `make help` lists the targets. Each sets up what it needs and starts nothing that outlives it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV := $(shell command -v uv || echo .tools/bin/uv)
BIN := .venv/bin
VENV := .venv/.ready
KAFKA := .parts/kafka/.ready
ASTERISK := .parts/asterisk/.ready
PROMETHEUS := .parts/prometheus/.ready
DEBIAN := .parts/debian/.ready
PACKAGERS := .tools/packagers/.ready
MKDOCS := .tools/mkdocs/.ready
ANSIBLE := .tools/ansible/.ready
ROOMS := messages stream collectors controller hotdesk simulator
LOCK = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
BUILD := tools/requirements-build.txt
VECTORS := tests/data/selection-vectors.jsonl tests/data/selection-vectors-by-rule.jsonl

# The tests start hundreds of processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(PATH):/usr/sbin:/sbin
export HOTDESK_KAFKA_HOME := $(CURDIR)/.parts/kafka
export HOTDESK_ASTERISK_TREE := $(CURDIR)/.parts/asterisk
export HOTDESK_PROMETHEUS_HOME := $(CURDIR)/.parts/prometheus
export HOTDESK_DEBIAN_TREE := $(CURDIR)/.parts/debian

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV) mariadb ## A simulated cluster, collectors, controller and API, no Kafka (DEMO_SECONDS=20 ends by itself)
	@$(BIN)/hotdesk demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

.PHONY: demo-kafka
demo-kafka: $(VENV) mariadb $(KAFKA) ## The same through a real Kafka broker
	@$(BIN)/hotdesk demo --kafka $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

.PHONY: test
test: $(VENV) mariadb web $(KAFKA) $(ASTERISK) $(PROMETHEUS) $(DEBIAN) $(PACKAGERS) $(ANSIBLE) check ## Every check and test, with every server real (ARGS="-k name" for some)
	$(BIN)/pytest -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: $(VENV) ## ruff, mypy, import-linter, format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV) ## Rewrite the code as `make check` wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: dashboards
dashboards: $(VENV) ## Write Grafana's dashboards anew from their Python (dashboards/*.json)
	@$(BIN)/python -m dashboards

.PHONY: vectors
vectors: $(VENV) ## Compare the ranking with VICIdial's own choices (FILE=selection-vectors.jsonl)
	@$(BIN)/python -m tests.support.vectors $(or $(FILE),$(VECTORS))

.PHONY: simulate
simulate: $(VENV) ## Simulate faults on a virtual clock (SEEDS=n SEED=first; SEEDS=1 tells its story)
	@$(BIN)/python -m tests.simulation $(or $(SEEDS),2000) $(or $(SEED),1)

.PHONY: scenarios
scenarios: $(VENV) ## Play scenarios on a virtual clock (FILE=file or folder; a file alone tells its story)
	@$(BIN)/python -m tests.scenarios $(FILE)

.PHONY: mutants
mutants: $(VENV) ## Plant bugs, and look whether the simulation finds each
	@$(BIN)/python -m tests.simulation.mutants

.PHONY: soak
soak: $(VENV) mariadb $(KAFKA) ## Random real faults at a rising rate, for MINUTES=5 (SEED=n: the same ones again)
	@$(BIN)/python -m tests.soak $(or $(MINUTES),5) $(SEED)

.PHONY: bench
bench: $(VENV) mariadb web $(KAFKA) $(ASTERISK) $(PROMETHEUS) ## Measure, side by side; prints a table, writes bench/results.json (ONLY=name for one)
	@$(BIN)/python -m bench $(ONLY)

.PHONY: dist
dist: $(VENV) ## Build a release: wheel, sdist, what it needs, pinned by hash, and a bill of that (dist/)
	@rm -rf dist
	@$(UV) build --quiet --build-constraints $(BUILD) --require-hashes --out-dir dist
	@cp requirements.lock dist/requirements.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --output-file dist/requirements.txt pyproject.toml
	@$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-format JSON --output-file dist/hotdesk.cdx.json dist/requirements.txt
	@ls dist

.PHONY: packages
packages: dist $(PACKAGERS) ## Make packages of the release: .deb, .rpm and one file for any Python 3.11 (dist/)
	@packaging/packages dist
	@ls dist

.PHONY: site
site: $(MKDOCS) ## Write the documents as a site with search, of which no link is dead (dist/site)
	@rm -rf dist/site
	@NO_MKDOCS_2_WARNING=1 .tools/mkdocs/bin/mkdocs build
	@echo "dist/site/index.html"

.PHONY: audit
audit: $(VENV) ## Ask the package index about every locked release: withdrawn, changed, known to be vulnerable?
	@UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(PYTHON) -m pip config get global.index-url 2>/dev/null)}" \
	  $(BIN)/python packaging/audit.py requirements.lock tools/requirements-*.txt

.PHONY: lock
lock: .tools/bin/uv ## Move requirements.lock, and what the tools need, to the newest releases
	$(LOCK) --group dev --output-file requirements.lock pyproject.toml
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | { cat; echo 'editables>=0.3,<1'; } | $(LOCK) --output-file $(BUILD) -
	printf 'nfpm\nshiv\n' | $(LOCK) --output-file tools/requirements-packagers.txt -
	echo mkdocs-material | $(LOCK) --output-file tools/requirements-mkdocs.txt -
	echo ansible-core | $(LOCK) --output-file tools/requirements-ansible.txt -

.PHONY: clean
clean: ## Remove what the targets built
	rm -rf .venv .tools .parts dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

.tools/bin/uv: tools/requirements-uv.txt
	@tools/need python
	@command -v uv >/dev/null && mkdir -p .tools/bin && ln -sf "$$(command -v uv)" $@ || { \
	  $(PYTHON) -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<; }
	@touch $@

$(VENV): requirements.lock $(BUILD) pyproject.toml .tools/bin/uv
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	@VIRTUAL_ENV=.venv $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --build-constraints $(BUILD) --editable .
	@touch $@

.PHONY: mariadb
mariadb:
	@tools/need mariadb

.PHONY: web
web:
	@tools/need php apache chromium sipsak baresip systemd rpm

$(KAFKA): tools/kafka/pom.xml tools/need
	@tools/need java maven
	@echo "fetching Apache Kafka"
	@mvn --quiet --batch-mode --file $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)
	@touch $@

$(ASTERISK): tools/asterisk
	@tools/asterisk $(@D)
	@touch $@

$(DEBIAN): tools/debian
	@tools/debian $(@D)
	@touch $@

$(PROMETHEUS): tools/prometheus
	@echo "fetching Prometheus and Alertmanager"
	@tools/prometheus $(@D)
	@touch $@

$(PACKAGERS): tools/requirements-packagers.txt .tools/bin/uv
$(MKDOCS): tools/requirements-mkdocs.txt .tools/bin/uv
$(ANSIBLE): tools/requirements-ansible.txt .tools/bin/uv
$(PACKAGERS) $(MKDOCS) $(ANSIBLE):
	@$(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(@D)
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(@D)/bin/python $<
	@touch $@
