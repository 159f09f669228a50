# make venv    the environment alone: .venv
# make race    re-live the ladder on this machine: a table and a picture, about three minutes
# make book    the book: build/book/html/index.html; runs every notebook once, a few minutes
# make test    the project's own tests
#
# All make the environment first.  Variables:
#   SEEDS="3 4 5"  RUNGS="00 01"  IMPLEMENTATION=exercises     for the race
#   PYTHON=python3.12                                          another Python (3.11 to 3.13)
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu           wheels for CPUs only: 200 MB
#   UV=1                                                       install with uv
#   JOBS=4                                                     test files at a time (make test)

PYTHON ?= python3
VENV := .venv
JOBS ?= 2
BIN := $(VENV)/bin

.PHONY: venv race book test test-all resolution lock clean
.DEFAULT_GOAL := race

$(VENV)/ready: requirements.lock pyproject.toml
ifdef UV
	uv venv --python $(PYTHON) --allow-existing $(VENV)
	uv pip install --python $(BIN)/python $(if $(TORCH_INDEX),--index $(TORCH_INDEX) --index-strategy unsafe-best-match) -r requirements.lock
	uv pip install --python $(BIN)/python --no-deps -e .
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endif
	touch $@

venv: $(VENV)/ready

race: $(VENV)/ready
	$(BIN)/python -m milestones.race $(if $(RUNGS),--rungs $(RUNGS)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(IMPLEMENTATION),--implementation $(IMPLEMENTATION))

book: $(VENV)/ready
	$(BIN)/python -m book.execute
	$(BIN)/python -m sphinx -W --keep-going -q -d build/book/doctrees book build/book/html
	@echo "open build/book/html/index.html"

test: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m milestones.chain check
	$(BIN)/python -m milestones.pages --check
	$(BIN)/python -m pytest tests -m "not slow" -n $(JOBS) --dist loadfile -rs

test-all: $(VENV)/ready
	$(BIN)/python -m pytest tests

# What the grader compares with, and how far noise, right code and mistakes move the exact curve:
# grader/curves/ and tests/grader/resolution.md, about half an hour
resolution: $(VENV)/ready
	$(BIN)/python -m grader.record
	$(BIN)/python -m tests.grader.resolution $(if $(OTHER_PYTHONS),--other-pythons $(OTHER_PYTHONS))

# The lock, from scratch: newest versions the metadata allow, one torch, no local suffixes
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet torch==2.13.0 -e .[dev,book]
	$(VENV)-lock/bin/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9]*$$//' | grep -v '^nvidia\|^triton\|^cuda' > requirements.lock
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) runs data/corpus build book/chapters book/scripts
