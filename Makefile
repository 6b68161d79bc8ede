# Two commands on a fresh machine with python3 and make: `make run` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Half as many again as processors: tests of processes wait for them.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n + (n + 1) / 2)))
STEPS  := 10000
LINES  := 1000000
RUNS   := /var/tmp/ai-suricata-lab
RULES  := $(wildcard ../shared/rules/et-open.rules.gz)
WRITE  :=
LABELLED := $(wildcard ../shared/data/labelled)

.DEFAULT_GOAL := help
.PHONY: help run test test-slow check test-system crash-test rotation-test bench-redis bench-enforce safety-test fuzz evaluate train bench-model bench-explain hardness lab format lock clean

help: ## List what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run ## Show the daemon at work on the sample (no root, nothing leaves this machine)
	$(BIN)/ai-suricata demo

test: $(VENV)/.dev ## Run the tests that need no system package, but for a few that take long
	$(BIN)/pytest -m "not system and not slow" -n $(WORKERS) --dist worksteal

test-slow: $(VENV)/.dev ## Run those few: one kill after the other, recorded days cut into batches
	$(BIN)/pytest -m "slow and not system" -n $(WORKERS) --dist worksteal

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

evaluate: $(VENV)/.dev ## Judge detection on the lab's test seeds and ../shared/data/labelled; report in build/report
	$(BIN)/ai-suricata evaluate --data samples/lab $(addprefix --data ,$(LABELLED)) --report build/report

train: $(VENV)/.dev ## Make the shipped model anew out of the lab's training seeds; the digests must be equal (WRITE=--write)
	$(BIN)/ai-suricata train --data samples/lab --reproduce $(WRITE)

check: $(VENV)/.dev ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: $(VENV)/.dev ## Make the lab's days anew out of real traffic in network namespaces (root; RULES=a rules file)
	$(BIN)/python -m lab.compose.series --runs $(RUNS) --out samples/lab --rules $(RULES)

bench-explain: $(VENV)/.dev ## What the reasons of a verdict cost, and how often they name what moved it
	$(BIN)/python benchmarks/explain_cost.py samples/lab/test-21.json.gz --lines 30000 --home-net "$$(grep ^test-21, samples/lab/sets.csv | cut -d'"' -f2)"

hardness: $(VENV)/.dev ## How far a decision tree of depth 2 comes on the lab: its labels must not be that easy
	$(BIN)/python -m lab.compose.hardness samples/lab

bench-model: $(VENV)/.dev ## What the shipped model costs: one row, 1,024 rows, its size, memory
	$(BIN)/python benchmarks/model_cost.py

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
