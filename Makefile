# Two commands matter: `make demo` and `make test`. Each needs Python 3.11, make and nothing else.
PYTHON3 ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check lint types imports generated tests bench bench-privacy lock format clean help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

$(READY): requirements.lock pyproject.toml
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fedstats needs Python 3.11 or newer; $(PYTHON3) is older. Set PYTHON3=/path/to/python3.11"; exit 2; }
	$(PYTHON3) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## Three agents, masked linear and logistic GWAS, compared with the pooled analysis
	$(BIN)/fedstats demo --out demo

test: check tests ## Everything that CI runs

check: lint types imports generated ## Lint, types, import floors, generated code

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell --toml pyproject.toml --skip benchmarks/data fedstats node_agent key_holder tests docs benchmarks scripts *.md

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports --no-cache

generated: $(READY)
	PYTHON=$(BIN)/python scripts/check-generated

tests: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadfile

bench-privacy: $(READY) ## Run one study under every privacy setting; a table, JSON and a page in benchmarks/results/
	$(BIN)/fedstats bench privacy --out benchmarks/results/privacy $(BENCH)

bench: $(READY) ## Time every task against plink2 (BENCH=--quick for minutes instead of an evening)
	$(BIN)/python -m benchmarks $(BENCH)

format: $(READY) ## Format and sort imports
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lock: $(READY) ## Renew requirements.lock (hash-pinned, without an index address)
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --strip-extras --allow-unsafe --no-header --extra dev --output-file requirements.lock pyproject.toml

clean: ## Remove the environment and caches
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
