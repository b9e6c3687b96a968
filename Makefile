# Needs GNU make and CPython 3.11 or 3.12 on Linux x86-64, nothing else. `make` alone lists what there is.

PYTHON ?= python3
ARGS ?=
bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help venv up down reset test chaos check mutants sim format lock

help: ## list these targets
	@$(PYTHON) firmhold/local/bootstrap.py help

# A PYTHON that nobody named may give way to a faster one of the system.
venv: ## create or refresh .venv from requirements.lock
	@$(PYTHON) firmhold/local/bootstrap.py venv $(if $(filter file,$(origin PYTHON)),--or-faster)

up: venv ## start everything and stay; Ctrl-C or `make down` stops it
	@$(bin)/firmhold up

down: venv ## stop what `make up` started here, leftovers of a crash too
	@$(bin)/firmhold down

reset: venv ## stop, then forget the local data (asks first; ARGS=--yes does not)
	@$(bin)/firmhold reset $(ARGS)

test: venv ## all tests but `make chaos`, on real servers of their own
	@$(bin)/pytest -m "not serial and not chaos" -n 5 --dist worksteal $(ARGS)

chaos: venv ## the long tests: loads while workers die, and the services as docker-compose.yml starts them
	@$(bin)/pytest -m serial $(ARGS) || test $$? -eq 5
	@$(bin)/pytest -m chaos -n 2 --dist worksteal $(ARGS)

check: venv ## format, lint, types, imports, tidiness
	@$(bin)/ruff format --check --quiet
	@$(bin)/ruff check
	@$(bin)/mypy
	@$(bin)/lint-imports
	@$(bin)/pytest -q tests/unit/test_tidy.py

mutants: venv ## try small changes of the core: does a test notice each? (minutes; ARGS=units.py for one file)
	@$(bin)/python -m tests.mutants $(ARGS)

sim: venv ## seeded runs of the real worker and cache on twins of their servers (60 s; ARGS="--seconds 600 --first 1000")
	@$(bin)/python -m tests.simulation $(ARGS)

format: venv ## format the code and mend what ruff can mend
	@$(bin)/ruff check --fix-only --quiet
	@$(bin)/ruff format --quiet

lock: ## pin the newest versions that fit pyproject.toml into requirements.lock
	@$(PYTHON) firmhold/local/bootstrap.py lock
