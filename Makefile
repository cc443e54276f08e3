# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help install demo test lint types imports format check bench lock clean

bin := .venv/bin

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## make .venv from the lock file (done by the others when needed)
	@PYTHON="$(PYTHON)" .ci/install

demo: install  ## seed and boot both shops, compare them, write the report (≤ 5 minutes)
	@$(bin)/loadtests demo

test: install  ## pass the tests
	@$(bin)/python -m pytest

lint: install  ## lint and formatting
	@$(bin)/ruff check . && $(bin)/ruff format --check .

types: install  ## mypy, strict
	@$(bin)/mypy

imports: install  ## who may import whom (.importlinter)
	@$(bin)/lint-imports

format: install  ## format the code and fix what ruff can fix
	@$(bin)/ruff format . && $(bin)/ruff check --fix .

check: lint types imports test  ## everything that the continuous integration runs

bench: install  ## CPU and requests per second per endpoint: floor, monolith, split shop
	@$(bin)/python -m loadtests.bench

lock:  ## pin the newest allowed versions, with hashes (needs uv)
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --upgrade --quiet -o requirements.lock

clean:  ## remove the environment, local state and caches
	@rm -rf .venv .shop build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
