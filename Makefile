# Every target does its own set-up: the first call builds .venv, later calls find it ready.
# `make` alone prints the targets; the variables are listed below them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

DATA ?= demo
PROFILE ?= small
RUN ?= runs/$(DATA)
SEED ?= 0
ROOT ?=
CLIPS ?=
RESOLUTION ?=
PRESET ?=
BACKGROUND ?=
HELD_OUT ?=
STEPS ?=
EPOCHS ?=
ARGS ?=
INPAINT_ARGS ?=
SWEEP ?= fig3
PROCESSES ?=
INPUT ?=
OUTPUT ?=
METHOD ?=

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.stamp
CONSTRAINTS := .ci/constraints.txt
PACKAGES := backdrop lightning_modules datamodules callbacks experiments

# Names that DATA, PROFILE and BACKGROUND may have: the shipped configs, and those of the working directory.
CONFIGS := experiments/configs
named = $(sort $(notdir $(basename $(wildcard $(CONFIGS)/$(1)/*.yaml $(1)/*.yaml))))
profiles = $(sort $(patsubst profiles/%/inpaint.yaml,%,$(patsubst $(CONFIGS)/%,%, \
	$(wildcard $(CONFIGS)/profiles/*/inpaint.yaml profiles/*/inpaint.yaml))))
# $(call one-of,VARIABLE,names): a shell command that refuses another value
one-of = test -n "$(filter $(2),$($(1)))" || \
	{ echo "error: $(1)=$($(1)) is unknown: choose $(subst $(space),$(comma)$(space),$(strip $(2)))" >&2; exit 1; }
# $(call only-for,VARIABLE,data): a shell command that refuses it with other shipped data
only-for = test -z "$($(1))" -o -z "$(filter-out $(2),$(filter $(call named,data),$(DATA)))" || \
	{ echo "error: $(1) is for $(2), and DATA is $(DATA): leave it out, or give DATA=$(2)" >&2; exit 1; }

comma := ,
empty :=
space := $(empty) $(empty)

# The files of a run, later ones win; then what the variables say; then ARGS, which wins over all.
plates = $(if $(filter-out inpainting,$(BACKGROUND)),--config background/$(BACKGROUND).yaml)
own_plates = $(if $(wildcard experiments/configs/profiles/$(PROFILE)/plates.yaml),--config profiles/$(PROFILE)/plates.yaml)
configs = --config base.yaml --config $(1).yaml --config data/$(DATA).yaml --config profiles/$(PROFILE)/$(1).yaml \
	$(if $(filter segment,$(1)),$(plates) $(if $(plates),$(own_plates)))
data_args = $(if $(ROOT),--data.init_args.root '$(ROOT)') \
	$(if $(CLIPS),--data.init_args.clips '[$(subst $(space),$(comma),$(strip $(CLIPS)))]') \
	$(if $(RESOLUTION),--data.init_args.resolution '$(RESOLUTION)') \
	$(if $(PRESET),--data.init_args.preset '$(PRESET)') $(if $(HELD_OUT),--data.init_args.held_out $(HELD_OUT))
limit_args = $(if $(STEPS),--trainer.max_steps $(STEPS)) \
	$(if $(EPOCHS),--trainer.max_epochs $(EPOCHS) --trainer.max_steps -1)
fit = $(PY) -m experiments fit $(call configs,$(1)) --trainer.default_root_dir '$(RUN)/$(1)' \
	--seed_everything $(SEED) $(data_args) $(limit_args)

.PHONY: help install lint typecheck test test-full demo prepare inspect train-inpaint train-seg davis sweep evaluate baselines \
	predict report dashboard flops docs benchmark gpu-check known need-root

help: ## print this help
	@echo "Backdrop: make TARGET [VARIABLE=value ...]"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18
	@echo
	@echo "Variables (default):"
	@echo "  DATA=demo|davis|videos|h36m|ski|handheld (demo)   PROFILE=small|paper (small)   RUN=folder (runs/DATA)   SEED=number (0)"
	@echo "  ROOT=folder of the data, for all but demo                CLIPS=\"dance-twirl ...\", for davis"
	@echo "  RESOLUTION=1080p|Full-Resolution|..., for davis (480p)     PRESET=static|ptz|handheld, for demo"
	@echo "  STEPS=number or EPOCHS=number: how long to train"
	@echo "  BACKGROUND=temporal|static|inpainting: train-seg predicts the scene from the clip's other frames, or with the painter"
	@echo "  SWEEP=fig3|table3|table3_small|table4|table4_s_max|table4_3x3|a7 or a file (fig3)   PROCESSES=trials at a time (1)"
	@echo "  HELD_OUT=share: of clips that are trained on and evaluated, train on the first part and evaluate the last, e.g. 0.2"
	@echo "  METHOD=\"mog2 flow ...\": which baselines (all)"
	@echo "  INPUT=image, folder of images or video, for predict      OUTPUT=folder (RUN/predictions/name of INPUT), or report's file"
	@echo "  ARGS=\"--trainer.max_steps 50 ...\": any option that \`$(PY) -m experiments fit --help\` lists"

install: $(STAMP) ## build .venv (every target below does this by itself)

# The stamp goes first and comes back last: an installation that failed half-way is never taken for a whole one.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@rm -f $@
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11: name a newer one with make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into $(VENV) (once; about 6 GB with the CUDA builds of torch, some minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@

lint: $(STAMP) ## ruff: rules and formatting of the imports
	$(PY) -m ruff check .

typecheck: $(STAMP) ## mypy, strict
	$(PY) -m mypy

test: $(STAMP) ## the tests that take minutes, without the slow ones
	$(PY) -m pytest -m "not slow" $(ARGS)

test-full: $(STAMP) ## all tests
	$(PY) -m pytest $(ARGS)

demo: $(STAMP) ## both stages and the evaluation on the built-in data; call it again to go on after an interruption
	@$(MAKE) --no-print-directory train-inpaint DATA=demo
	@$(MAKE) --no-print-directory train-seg DATA=demo
	@$(MAKE) --no-print-directory evaluate DATA=demo ARGS=

inspect: known need-root $(STAMP) ## what DATA holds, what is wrong with it, and a contact sheet in RUN
	@$(PY) -m experiments inspect $(call configs,inpaint) $(plates) $(data_args) --output '$(RUN)' $(ARGS)

prepare: known need-root $(STAMP) ## decode the frames of DATA into the store; the first training does it too
	@$(PY) -m experiments prepare $(call configs,inpaint) $(plates) $(data_args) $(ARGS)

train-inpaint: known need-root $(STAMP) ## stage 1: the background painter
	@$(call fit,inpaint) $(ARGS)

train-seg: known need-root $(STAMP) ## stage 2: detector and segmenter, over the painter of the same RUN
	@$(call fit,segment) --model.init_args.inpainter_ckpt '$(RUN)/inpaint/checkpoints/last.ckpt' $(ARGS)

davis: DATA := davis
davis: BACKGROUND := $(or $(BACKGROUND),temporal)
davis: known need-root $(STAMP) ## a model for each clip of ROOT (or CLIPS), one table; STEPS, ARGS are for stage 2, INPAINT_ARGS for stage 1
	@$(PY) -m experiments davis '$(RUN)' --root '$(ROOT)' $(if $(strip $(CLIPS)),--clips $(CLIPS)) --profile $(PROFILE) \
		$(if $(RESOLUTION),--resolution '$(RESOLUTION)') --background $(BACKGROUND) --seed $(SEED) $(if $(HELD_OUT),--held-out $(HELD_OUT)) \
		$(if $(INPAINT_ARGS),--inpaint-options='$(INPAINT_ARGS)') -- $(limit_args) $(ARGS)

# RUN, DATA and PROFILE are taken only where they were given: a sweep says them itself.
given = $(if $(filter-out file,$(origin $(1))),--$(2) '$($(1))')
sweep: known need-root $(STAMP) ## all trials of SWEEP and their table; STEPS, ARGS are for stage 2, INPAINT_ARGS for stage 1
	@$(PY) -m experiments sweep '$(SWEEP)' $(call given,RUN,run) $(call given,DATA,data) $(call given,PROFILE,profile) \
		$(if $(METHOD),--baselines $(METHOD)) $(if $(BACKGROUND),--background $(BACKGROUND)) $(if $(PROCESSES),--processes $(PROCESSES)) \
		$(if $(INPAINT_ARGS),--inpaint-options='$(INPAINT_ARGS)') -- $(data_args) $(limit_args) $(ARGS)

evaluate: $(STAMP) ## score RUN on its test clips: RUN/results.json, a table and a picture sheet
	@$(PY) -m experiments evaluate '$(RUN)' $(ARGS)

baselines: known need-root $(STAMP) ## other methods (METHOD, or all) on the test clips of DATA, one table; call it again to go on
	@$(PY) -m experiments baselines '$(RUN)' $(if $(METHOD),--method $(METHOD)) --config data/$(DATA).yaml $(data_args) $(ARGS)

predict: $(STAMP) ## overlays, masks and boxes of INPUT with the model in RUN
	@test -n "$(INPUT)" || { echo "error: say what to predict: make predict RUN=$(RUN) INPUT=video.mp4" >&2; exit 1; }
	@$(PY) -m experiments predict '$(RUN)' '$(INPUT)' $(if $(OUTPUT),--output '$(OUTPUT)') $(ARGS)

report: $(STAMP) ## one HTML page that compares the runs in the folder RUN: curves, tables, frames, two runs beside each other
	@$(PY) -m experiments report '$(RUN)' $(if $(OUTPUT),--output '$(OUTPUT)') $(ARGS)

dashboard: $(STAMP) ## lay out the W&B workspace of the project (ARGS="--project P --entity E"); wants an account
	@$(PY) -m experiments dashboard $(ARGS)

flops: known $(STAMP) ## parameters and floating-point operations of the three networks, both profiles, at DATA's frame size
	@$(PY) -m experiments flops --data $(DATA) $(ARGS)

gpu-check: known $(STAMP) ## on a machine with a GPU: does each precision train, plain and compiled, and how fast
	@$(PY) -m experiments gpu-check --profile $(PROFILE) --data $(DATA) $(ARGS)

docs: $(VENV)/.docs ## build the documentation site, build/site/index.html, with the API from the docstrings
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict --config-file .mkdocs.yml

$(VENV)/.docs: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[docs]'
	@touch $@

benchmark: $(STAMP) ## how fast frames are loaded, from the store and in other ways; ARGS=--long adds the memory
	@$(PY) -m experiments benchmark data $(ARGS)

known:
	@$(call one-of,DATA,$(call named,data))
	@$(call one-of,PROFILE,$(profiles))
	@$(if $(BACKGROUND),$(call one-of,BACKGROUND,inpainting $(call named,background)))
	@$(call only-for,CLIPS,davis)
	@$(call only-for,RESOLUTION,davis)
	@$(call only-for,PRESET,demo)

need-root:
	@test "$(DATA)" = demo -o -n "$(ROOT)" || \
		{ echo "error: DATA=$(DATA) needs to know where the data are: add ROOT=/path/to/them" >&2; exit 1; }
