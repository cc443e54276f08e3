# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help install dev extras demo show test compare acceptance containers chaos exercises selftest lint types imports format check mutants bench lock clean

bin := .venv/bin
# What promises seconds or cores wants the machine to itself; what is only right or wrong can share it.
quick := not full and not acceptance and not course and not containers
shared := --numprocesses auto --maxprocesses 4 --dist worksteal
# No index is named, so that the locks serve wherever the packages come from.
pin = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --quiet \
  --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## make .venv with all that shops, lab and course need to run (done by the others when needed)
	@PYTHON="$(PYTHON)" .ci/install

dev:  ## the same, and what tests, lint and types need (done by the others when needed)
	@PYTHON="$(PYTHON)" .ci/install dev

extras: install  ## the same, and what optional parts need: OpenTelemetry, Node, a client of Kubernetes
	@PYTHON="$(PYTHON)" .ci/install extras

demo: install  ## seed and boot both shops, compare them, write the report (≤ 5 minutes)
	@$(bin)/loadtests demo

show: install  ## open both shops and show them live, as a page, until Ctrl-C
	@$(bin)/exercises show

test: dev  ## pass the tests
	@$(bin)/python -m pytest -m "$(quick) and not timed" $(shared)
	@$(bin)/python -m pytest -m "$(quick) and timed" --numprocesses 2 --dist loadfile

chaos: dev  ## break a shop in every way under load, then the fault gates in full (≤ 20 minutes)
	@$(bin)/microservices chaos --minutes 2
	@$(bin)/python -m pytest -m "full and not timed" -rs $(shared) --numprocesses 3
	@$(bin)/python -m pytest -m "full and timed" -rs

acceptance: dev  ## pass the acceptance suite: each shop on each database (about 3 minutes)
	@$(bin)/python -m pytest -m "acceptance and not full"

containers: dev  ## both shops in real containers, where a Docker engine runs (docs/containers.md; minutes)
	@$(bin)/python -m pytest -m containers -rs

lint: dev  ## lint and formatting
	@$(bin)/ruff check . && $(bin)/ruff format --check .

types: dev  ## mypy, strict
	@$(bin)/mypy

imports: dev  ## who may import whom (.importlinter)
	@$(bin)/lint-imports

format: dev  ## format the code and fix what ruff can fix
	@$(bin)/ruff format . && $(bin)/ruff check --fix .

check: lint types imports test  ## everything that the continuous integration runs

exercises: dev  ## every promise of the course, load included (an hour and a half, a quiet machine); ONLY="05- or 06-" for a part
	@$(bin)/python -m pytest exercises -m "not acceptance" -rs $(if $(ONLY),-k "$(ONLY)")

mutants: dev  ## take out what keeps the shops correct, piece by piece: the tests have to see it (minutes)
	@$(bin)/python -m microservices.tests.mutants

bench: install  ## CPU and requests/s per endpoint (floor, monolith, split), and what the lab's instruments are worth
	@$(bin)/python -m loadtests.bench

compare: install  ## how a module differs between the shops: M=orders, HTML=FILE for a page; without M, all eight
	@$(bin)/python -m docs.pair $(M) $(if $(HTML),--html "$(HTML)")

selftest: install  ## the lab proves itself: simulated trials, then real shops and real faults (a quiet machine, 5 minutes)
	@$(bin)/loadtests selftest --real

lock:  ## pin what pyproject.toml asks for, with hashes; UPGRADE=1 takes the newest versions (needs uv)
	@$(pin) pyproject.toml --group build -o requirements.lock
	@$(pin) --group runtime --constraints requirements.lock -o requirements-runtime.lock
	@$(pin) --group gateway --constraints requirements.lock -o requirements-gateway.lock
	@$(pin) pyproject.toml --all-extras --constraints requirements.lock -o requirements-extras.lock
	@$(pin) pyproject.toml --all-extras --group dev --constraints requirements-extras.lock -o requirements-dev.lock

clean:  ## remove the environment, local state and caches
	@rm -rf .venv .shop build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
