# make demo      see the bazaar at work
# make classroom eight peers of a ring in one window, with a table of the ring for the projector
# make test      what must hold, in some minutes: lint, types, each unit test, some of each integration test
# make test-all  all that must hold: the slow tests too, each with more tries; trial, covered branches, soak
# make lint      the first of that alone: form and types of the sources
# make types     whether each public name of the built wheel has a type that others can rely on
# make review    what is usual for projects on PyPI and GitHub, and whether the files for public CI are in order
# make docs      build/docs/index.html: these pages and the API, as a site
# make bench     how fast it is, beside others; ONLY=wire runs one module
# make bench-peers  install those others
# make attack    what strangers must not be able to do, tried on real daemons; ONLY=pings-tracker makes one attack
# make planted   each bug that the tests are known to catch, planted in a copy and caught again; ONLY=7 for one promise
# make soak      simulated markets under faults, SEEDS=1000 of each kind
# make format    put the code into its house form
# make wheel     dist/: a source distribution, and a wheel built from that; the same sources make the same wheel

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SEEDS ?= 100

.PHONY: demo classroom lint review types docs test test-all bench bench-peers attack planted soak format wheel clean
.DEFAULT_GOAL := demo

$(VENV)/.installed: setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "twisted_bazaar needs Python 3.11 or later; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	touch $@
	@echo "The environment is made, in $(VENV)."

demo: $(VENV)/.installed
	$(VENV)/bin/bazaar demo

classroom: $(VENV)/.installed
	$(VENV)/bin/bazaar classroom --output build/room

lint review types docs test test-all: $(VENV)/.installed-dev
	@$(RUN) -m tests.stages $@

bench: $(VENV)/.installed-dev
	$(RUN) -m benchmarks $(ONLY)

bench-peers: $(VENV)/.installed-dev
	$(RUN) -m benchmarks.peers

attack: $(VENV)/.installed-dev
	$(RUN) -m tests.attack $(if $(ONLY),--only $(ONLY)) $(if $(SHORT),--short) $(if $(JSON),--json $(JSON))

planted: $(VENV)/.installed-dev
	$(RUN) -m tests.planted $(if $(ONLY),--only "$(ONLY)")

soak: $(VENV)/.installed-dev
	$(RUN) -m tests.soak $(SEEDS) $(FIRST)

format: $(VENV)/.installed-dev
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# All that would tell one build from another: the time, here that of the last commit, and who may write to new files.
wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)
wheel: $(VENV)/.installed-dev
	umask 022 && $(RUN) -m build --outdir dist

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis _trial_temp*
