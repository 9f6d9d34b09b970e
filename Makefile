# The two commands of a newcomer are `make run` and `make test`.
VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
CHOSEN = $(if $(ENV),--env=$(ENV)) $(if $(EXPERIMENT),--params=experiment=$(EXPERIMENT))
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run rehearse test lint check slow drill power latency ask viz runs verify-run lineage lock embedded-base clean

help:            ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 18

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

run: $(READY)    ## install, then run the embedded experiment to its report
	$(BIN)/kedro run

rehearse: $(READY)  ## a study's whole path in minutes, with a small stand-in of its model (make rehearse STUDY=medidialogue)
	$(BIN)/python -m med_lora rehearse $(STUDY)

test: $(READY)   ## install, then run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: lint test ## format, lint, types and tests

lint: $(READY)   ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

slow: $(READY)   ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

drill: $(READY)  ## kill training at 100 random points, and compare how it ends
	$(BIN)/python benchmarks/resume_drill.py

power: $(READY)  ## what a comparison could find, before anything is run
	$(BIN)/kedro run --pipelines=power

latency: $(READY)  ## seconds from question to answer of the last trained adapter, on this machine
	$(BIN)/kedro run --pipelines=latency

ask: $(READY)    ## ask base and tuned, with and without passages (make ask ARGS=--web: on a page of this machine)
	$(BIN)/python -m med_lora ask $(ARGS)

viz: $(READY)    ## the lineage on a page of this machine (make viz EXPERIMENT=... ENV=...)
	$(BIN)/python -m med_lora lineage --view $(CHOSEN)

lineage: $(READY)  ## the lineage as a static site in build/lineage/EXPERIMENT
	$(BIN)/python -m med_lora lineage $(CHOSEN)

lock: $(READY)   ## resolve requirements.lock anew; the local label of a torch build is dropped
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --quiet --no-header --no-annotate \
		| sed -E 's/^(torch==[0-9.]+)\+.*/\1/' > requirements.lock.new
	mv requirements.lock.new requirements.lock

embedded-base: $(READY)  ## train the embedded base model anew (needs MED_LORA_RAW/general; an hour)
	$(BIN)/kedro run --pipelines=pretraining --env=cpu_bf16
	cp $$(ls -d data/06_models/embedded/pretrained_model/*/pretrained_model | tail -n 1)/* data/06_models/embedded-base/
	rm -f data/06_models/embedded-base/_SUCCESS

runs: $(READY)   ## list the runs, the newest first
	$(BIN)/python -m med_lora runs

verify-run: $(READY)  ## repeat a run, and say which artifact differs first (make verify-run RUN=latest)
	$(BIN)/python -m med_lora runs verify $(RUN)

clean:           ## remove the environment, and every run with its artifacts
	rm -rf $(VENV) runs data/0[234578]_*/* data/06_models/*/*/[0-9]* \
		data/06_models/*/search data/06_models/*/sweep data/06_models/*/checkpoints data/06_models/*/domain_checkpoints \
		.viz build
