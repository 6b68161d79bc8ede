# Two commands on a fresh machine with python3 and make: `make run` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STEPS  := 10000
LINES  := 1000000

.DEFAULT_GOAL := help
.PHONY: help run test check test-system crash-test rotation-test bench-redis bench-enforce safety-test fuzz lab format lock clean

help: ## List what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run ## Show the daemon at work on the sample (no root, nothing leaves this machine)
	$(BIN)/ai-suricata demo

test: $(VENV)/.dev ## Run every test that needs no system package
	$(BIN)/pytest -m "not system" -n auto --dist worksteal

test-system: $(VENV)/.dev ## Run the tests that need real servers: sshd, Suricata, Prometheus
	$(BIN)/pytest -m system

crash-test: $(VENV)/.dev ## Kill the daemon 50 times under load, on memory and on Redis, and count (needs sshd)
	PYTHONPATH=.:tests $(BIN)/python benchmarks/crash.py

fuzz: $(VENV)/.dev ## Put a million damaged lines through the analysis: none may raise or get lost
	PYTHONPATH=.:tests $(BIN)/python benchmarks/fuzz.py --lines $(LINES)

rotation-test: $(VENV)/.dev ## Rotate, truncate and delete a log 10,000 times at random under a reader that is killed
	PYTHONPATH=.:tests $(BIN)/python benchmarks/rotation.py --steps $(STEPS)

bench-redis: $(VENV)/.dev ## What the daemon costs Redis, beside one command a message
	$(BIN)/python benchmarks/redis_cost.py

bench-enforce: $(VENV)/.dev ## From the line that decides to the proof in pf's table: p50, p99, and 10,000 at once (needs sshd)
	PYTHONPATH=.:tests $(BIN)/python benchmarks/enforce.py

safety-test: $(VENV)/.dev ## Try in 10,000 ways to have somebody blocked who never must be (needs sshd)
	PYTHONPATH=.:tests $(BIN)/python benchmarks/safety.py

check: $(VENV)/.dev ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: $(VENV)/.dev ## Make real traffic in network namespaces (root), and the sample out of it
	$(BIN)/python -m lab --help

format: $(VENV)/.dev ## Put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## Lock the dependencies anew
	$(BIN)/python -m pip install pip-tools
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header --no-annotate --allow-unsafe \
	  --extra build --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header --no-annotate --allow-unsafe \
	  --extra build --extra dev --constraint requirements.txt \
	  --output-file requirements-dev.txt pyproject.toml

$(VENV)/.run: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

clean: ## Remove what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
