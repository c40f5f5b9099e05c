# Every target does its own set-up: the first call builds .venv, later calls find it ready.
# `make` alone prints the targets; the variables are listed below them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Messages then name targets of this file.
export BACKDROP_PROGRAM := make

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

comma := ,
empty :=
space := $(empty) $(empty)
# $(call quoted,text): one word for the shell, whatever is in it
quoted = '$(subst ','\'',$(1))'
# $(call text,value): YAML's text, whatever it looks like; a clip 001 is no number
text = "$(subst ",\",$(subst \,\\,$(1)))"
# $(call option,--name,value): nothing where there is no value
option = $(if $(strip $(2)),$(1) $(call quoted,$(2)))
# $(call given,VARIABLE,--name): nothing where the variable has its default
given = $(if $(filter-out file,$(origin $(1))),$(2) $(call quoted,$($(1))))

# What the variables say; the composer in Python knows the files behind the names. ARGS comes last and wins over all.
data_args = $(call option,--data.init_args.root,$(ROOT)) $(choice)
choice = $(if $(strip $(CLIPS)),--data.init_args.clips $(call quoted,[$(subst $(space),$(comma),$(foreach clip,$(CLIPS),$(call text,$(clip))))])) \
	$(call option,--data.init_args.resolution,$(RESOLUTION)) $(call option,--data.init_args.preset,$(PRESET)) \
	$(call option,--data.init_args.held_out,$(HELD_OUT))
configs = --data $(call quoted,$(DATA)) --profile $(call quoted,$(PROFILE)) $(call option,--background,$(BACKGROUND))
limit_args = $(call option,--trainer.max_steps,$(STEPS)) \
	$(if $(EPOCHS),$(call option,--trainer.max_epochs,$(EPOCHS)) --trainer.max_steps -1)
sweep_args = $(if $(METHOD),--baselines $(METHOD)) $(call option,--processes,$(PROCESSES)) \
	$(if $(INPAINT_ARGS),--inpaint-options=$(call quoted,$(INPAINT_ARGS))) -- $(data_args) $(limit_args) $(ARGS)
both = $(PY) -m experiments train $(configs) $(call option,--root,$(ROOT)) --run $(call quoted,$(RUN)) \
	--seed $(call quoted,$(SEED)) $(call option,--steps,$(STEPS))
fit = $(PY) -m experiments fit --stage $(1) $(configs) --trainer.default_root_dir $(call quoted,$(RUN)/$(1)) \
	--seed_everything $(call quoted,$(SEED)) $(data_args) $(limit_args)

.PHONY: help install lint typecheck test test-full demo prepare inspect train train-inpaint train-seg pretrain-encoder \
	davis sweep evaluate baselines predict report dashboard flops docs benchmark gpu-check gpu-proof

help: ## print this help
	@echo "Backdrop: make TARGET [VARIABLE=value ...]"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 20
	@echo
	@echo "Variables (default):"
	@echo "  DATA=demo|davis|videos|h36m|ski|handheld|cdnet|fbms|segtrack|sbi (demo)             PROFILE=small|paper (small)"
	@echo "  RUN=folder (runs/DATA)   SEED=number (0)   ROOT=folder of the data, for all but demo"
	@echo "  CLIPS=\"dance-twirl ...\": these clips only, for all but demo, h36m and ski"
	@echo "  RESOLUTION=1080p|Full-Resolution|..., for davis (480p)     PRESET=static|ptz|handheld, for demo"
	@echo "  STEPS=number: how long to train (EPOCHS=number too, for train-inpaint and train-seg)"
	@echo "  BACKGROUND=inpainting|cues|temporal|static: stage 2 learns from the inpainter's scene (the paper), from targets that"
	@echo "             motion and colours give (videos, davis), or from the scene that the clip's other frames show"
	@echo "  SWEEP=fig3|table1_2|table3|table3_small|table4|table4_s_max|table4_3x3|a7, each (a model for each clip) or a file (fig3)"
	@echo "  PROCESSES=trials or clips at a time (1), for sweep and davis"
	@echo "  HELD_OUT=share: of clips that are trained on and evaluated, train on the first part and evaluate the last, e.g. 0.2"
	@echo "  METHOD=\"mog2 flow ...\": which baselines (baselines: all; sweep and davis: none)"
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

test: $(STAMP) ## the tests that take minutes, without the slow ones, in two processes
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not slow" --numprocesses 2 --dist loadfile $(ARGS)

test-full: $(STAMP) ## all tests
	$(PY) -m pytest $(ARGS)

demo: $(STAMP) ## both stages and the evaluation on the built-in data; call it again to go on after an interruption
	@$(MAKE) --no-print-directory train DATA=demo
	@$(MAKE) --no-print-directory evaluate DATA=demo ARGS=

inspect: $(STAMP) ## what DATA holds, what is wrong with it, and a contact sheet in RUN
	@$(PY) -m experiments inspect $(configs) $(data_args) --output $(call quoted,$(RUN)) $(ARGS)

prepare: $(STAMP) ## decode the frames of DATA into the store; the first training does it too
	@$(PY) -m experiments prepare $(configs) $(data_args) $(ARGS)

train: $(STAMP) ## a model on DATA: stage 1, where something uses it, then stage 2; the same as `backdrop train`
	@$(both) -- $(choice) $(ARGS)

train-inpaint: $(STAMP) ## stage 1: the background inpainter
	@$(call fit,inpaint) $(ARGS)

train-seg: $(STAMP) ## stage 2: detector and segmenter, over the inpainter of the same RUN where something asks it
	@$(call fit,segment) $(ARGS)

pretrain-encoder: $(STAMP) ## the encoder of stage 2, on unlabelled frames alone (Table 3): RUN/encoder/checkpoints/self_supervised.pth
	@$(call fit,encoder) $(ARGS)

davis: DATA := davis
davis: BACKGROUND := $(or $(BACKGROUND),$(if $(filter small,$(PROFILE)),cues,temporal))
davis: $(STAMP) ## a model for each clip of ROOT (or CLIPS), one table; STEPS, ARGS are for stage 2, INPAINT_ARGS for stage 1
	@$(PY) -m experiments sweep each --continue --run $(call quoted,$(RUN)) $(configs) --seed $(call quoted,$(SEED)) $(sweep_args)

# RUN, DATA and PROFILE are taken only where they were given: a sweep says them itself.
sweep: $(STAMP) ## all trials of SWEEP and their table; STEPS, ARGS are for stage 2, INPAINT_ARGS for stage 1
	@$(PY) -m experiments sweep $(call quoted,$(SWEEP)) $(call given,RUN,--run) $(call given,DATA,--data) $(call given,PROFILE,--profile) \
		$(call option,--background,$(BACKGROUND)) $(sweep_args)

evaluate: $(STAMP) ## score RUN on its test clips: RUN/results.json, a table and a picture sheet
	@$(PY) -m experiments evaluate $(call quoted,$(RUN)) $(ARGS)

baselines: $(STAMP) ## other methods (METHOD, or all) on the test clips of DATA, one table; call it again to go on
	@$(PY) -m experiments baselines $(call quoted,$(RUN)) $(if $(METHOD),--method $(METHOD)) --data $(call quoted,$(DATA)) $(data_args) $(ARGS)

predict: $(STAMP) ## overlays, masks and boxes of INPUT with the model in RUN
	@test -n $(call quoted,$(INPUT)) || { echo "error: INPUT is missing: make predict RUN=... INPUT=video.mp4" >&2; exit 2; }
	@$(PY) -m experiments predict $(call quoted,$(RUN)) $(call quoted,$(INPUT)) $(call option,--output,$(OUTPUT)) $(ARGS)

report: $(STAMP) ## one HTML page that compares the runs in the folder RUN: curves, tables, frames, two runs beside each other
	@$(PY) -m experiments report $(call quoted,$(RUN)) $(call option,--output,$(OUTPUT)) $(ARGS)

dashboard: $(STAMP) ## lay out the W&B workspace of the project (ARGS="--project P --entity E"); wants an account
	@$(PY) -m experiments dashboard $(ARGS)

flops: $(STAMP) ## parameters and floating-point operations of the three networks, both profiles, at DATA's frame size
	@$(PY) -m experiments flops --data $(call quoted,$(DATA)) $(ARGS)

gpu-check: $(STAMP) ## on a machine with a GPU: does each precision train, plain and compiled, and how fast
	@$(PY) -m experiments gpu-check --profile $(call quoted,$(PROFILE)) --data $(call quoted,$(DATA)) $(ARGS)

# A lent GPU machine may reach no package index: its own Python serves where it has what the command imports.
gpu_python = $$(if [ ! -e $(STAMP) ] && $(PYTHON) -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, \
	"torch torchvision pytorch_lightning torchmetrics kornia lpips jsonargparse docstring_parser typeshed_client cv2".split())))'; \
	then echo $(PYTHON); else $(MAKE) --silent --no-print-directory install >&2 && echo $(PY); fi)

gpu-proof: ## on a machine with a GPU: the paper at its own size for minutes, on the demo and a clip of ROOT (or CLIPS)
	@python=$(gpu_python); $$python -m experiments gpu-proof $(call given,RUN,--run) $(call given,SEED,--seed) \
		$(call option,--root,$(ROOT)) $(if $(strip $(CLIPS)),--clips $(foreach clip,$(CLIPS),$(call quoted,$(clip)))) $(ARGS)

docs: $(VENV)/.docs ## build the documentation site, build/site/index.html, with the API from the docstrings
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict --config-file .mkdocs.yml

$(VENV)/.docs: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[docs]'
	@touch $@

benchmark: $(STAMP) ## how fast frames are loaded, from the store and in other ways; ARGS=--long adds the memory
	@$(PY) -m experiments benchmark data $(ARGS)
