# `make demo` sets everything up, runs the whole chain on the shipped dialogues, and the bot answers.
# `make test` sets everything up and proves the project. Needs Python 3.11 and make; `make PYTHON=/path/to/python3.11`
# names the Python where it is not found.
.PHONY: help setup small lint fast chain test prove benchmark demo clean
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?=
PYTHON_SMALL ?=
RUN := .venv/bin/python
SMALL := .venv-3.13
EXTRAS := train,local,dev

# $(call find,VERSION,WISH): the first Python of that version, or nothing.
find = $(shell for python in $(2) python$(1) python3 python $$HOME/.pyenv/versions/$(1)*/bin/python \
	/usr/local/bin/python$(1) /opt/homebrew/bin/python$(1); do \
	if [ "$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$(1)" ]; then \
	"$$python" -c 'import sys; print(sys.executable)'; break; fi; done)

# $(call install,FOLDER,PYTHON,CONSTRAINTS,EXTRAS): bring an environment up to date with pyproject.toml and its
# constraints; the sum of both is kept beside it, so that nothing is asked of the network when neither changed.
# The status of pip, not of grep, decides: the sum is written only after it succeeded.
define install
	@sum=$$(cat pyproject.toml $(3) | cksum); \
	if [ "$$(cat $(1)/installed 2>/dev/null)" = "$$sum" ]; then echo "setup: $(1) is up to date"; exit 0; fi; \
	echo "setup: installing lf-bridge[$(4)] into $(1) with $(2)"; \
	[ -x $(1)/bin/pip ] || "$(2)" -m venv $(1) || exit 1; \
	{ $(1)/bin/python -m pip install --disable-pip-version-check --progress-bar off -c $(3) -e '.[$(4)]' \
	&& echo "$$sum" > $(1)/installed; } | grep --line-buffered -oE \
	'(Downloading|Using cached) .*([0-9]{2}\.[0-9] M|G)B|Installing collected packages'; \
	[ "$$(cat $(1)/installed 2>/dev/null)" = "$$sum" ] && echo "setup: $(1) is ready"
endef

help:
	@echo "make demo    set up, run the whole chain on the shipped dialogues, and the bot answers"
	@echo "make test    set up, then lint, the fast suite and the chain on a tiny model"
	@echo "make setup   only the environment: .venv"
	@echo "make lint    ruff, mypy, import contracts"
	@echo "make fast    the tests that take seconds, on every supported Python that is found"
	@echo "make prove   everything that make test has no time for, and the benchmarks"
	@echo "make benchmark   how fast and how lean it is, against the obvious way"
	@echo "make clean   remove environments and caches; data, runs and releases stay"

setup: FOUND = $(call find,3.11,$(PYTHON))
setup:
	@[ -x .venv/bin/python ] || [ -n "$(FOUND)" ] || { \
	echo "error: no Python 3.11 found"; echo; echo "hint: install it, or make PYTHON=/path/to/python3.11"; exit 1; }
	$(call install,.venv,$(FOUND),constraints/py311.txt,$(EXTRAS))

small: FOUND = $(call find,3.13,$(PYTHON_SMALL))
small:
	@case "$(FOUND)$(wildcard $(SMALL)/bin/python)" in "") echo "setup: no Python 3.13 found; its tests are left out";; \
	*) $(MAKE) small-install SMALL_PYTHON="$(FOUND)";; esac
.PHONY: small-install
small-install:
	$(call install,$(SMALL),$(SMALL_PYTHON),constraints/py313.txt,dev)

lint: setup
	@echo "lint: ruff"
	@$(RUN) -m ruff check --quiet . && $(RUN) -m ruff format --quiet --check .
	@echo "lint: mypy"
	@$(RUN) -m mypy --no-error-summary
	@echo "lint: import contracts"
	@.venv/bin/lint-imports --no-logo > .lint-imports.txt || { cat .lint-imports.txt; rm -f .lint-imports.txt; exit 1; }
	@rm -f .lint-imports.txt; echo "lint: clean"

# LFB_REQUIRE_PYTHONS="3.11 3.13" makes the absence of one of them a failure.
fast: setup small
	@used=; for python in $(RUN) $(SMALL)/bin/python; do \
	[ -x $$python ] || continue; \
	name=$$($$python -c 'import sys, pandas; print("%d.%d with pandas" % sys.version_info[:2], pandas.__version__)'); \
	echo "fast: Python $$name"; \
	$$python -m pytest -q -m "not chain and not prove" || exit 1; \
	used="$$used$${used:+, }$$name"; \
	done; \
	for version in $$LFB_REQUIRE_PYTHONS; do case ", $$used" in *", $$version "*) ;; *) \
	echo "error: Python $$version is required and was not found"; exit 1;; esac; done; \
	echo "fast suite passed on Python $$used"

chain: setup
	@echo "chain: real training, conversion and servers on a tiny model"
	@$(RUN) -m pytest -m "chain and not prove"

test: setup lint fast chain

prove: test
	@echo "prove: every fault point with the real programs, long matrices"
	@$(RUN) -m pytest -m prove
	@$(MAKE) benchmark

# In an environment of its own, with what prepare is compared with.
benchmark: FOUND = $(call find,3.11,$(PYTHON))
benchmark:
	$(call install,.venv-benchmark,$(FOUND),constraints/benchmark.txt,benchmark)
	@for benchmark in benchmarks/*.py; do echo "benchmark: $$benchmark"; .venv-benchmark/bin/python $$benchmark || exit 1; done

demo: setup
	@echo "demo: recipes/demo.yaml, from dialogues to an answer"
	@.venv/bin/lfb run recipes/demo.yaml

clean:
	rm -rf .venv $(SMALL) .venv-benchmark .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
