# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# For a machine without ROS: Debian or Ubuntu with python3 >= 3.10 and python3-venv.
#   make demo     flies a simulated camera and anonymizes it; ARGS='--help' lists the options
#   make test     all checks
#   make test-graph   only the tests of the running node
#   make results  measures docs/RESULTS.md anew; TABLE=6 one table of it; hours on two cores
#   make models   trains all networks anew: DATA, LABELS, COLOR_DATA; hours on two cores
#   make clean    removes what the above made
# DISTRO=kilted takes the ROS 2 wheels of another distribution.

DISTRO ?= jazzy
PYTHON ?= python3
ARGS ?=
# Test files that are run at a time.
WORKERS ?= 2
# Wheels of two distributions cannot share an environment.
VENV := .venv$(if $(filter-out jazzy,$(DISTRO)),-$(DISTRO))

# For `make models` and `make results`: face images, one folder for each person, and a CSV of
# attributes; then the same of other people, an attribute classifier, and photos with boxes.
DATA ?= ../shared/data/lfw.tar
LABELS ?= ../shared/data/lfw_attributes.csv
TEST_DATA ?= ../shared/data/celeba_dev.tar
TEST_LABELS ?= ../shared/data/celeba_dev_attributes.csv
CLASSIFIER ?= ../shared/data/attribute_mlp.npz
PHOTOS ?= ../shared/data/detection_dev.tar
# Faces in each row of `make results`.
COUNT ?= 1000
TABLE ?=
# LFW is gray. For the color networks its faces get their chroma from the first people of another tar;
# the other people of that tar are left for measuring.
COLOR_DATA ?= $(TEST_DATA)
COLOR_PEOPLE = 40
RECIPES = $(wildcard config/training/*.yaml)
# Train with the identities of a gallery, which has to be built before.
LAST = config/training/contrast_gallery.yaml config/training/synthetic.yaml

.PHONY: demo test test-graph results models clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed-demo
	$(VENV)/bin/python -m deid_ros.offboard.demo $(ARGS)

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/vermin --quiet --no-tips --violations --target=3.6- deid_ros/core deid_ros/node \
		launch setup.py
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

test-graph: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest test/node $(ARGS)

results: $(VENV)/installed-evaluate
	$(VENV)/bin/evaluate $(if $(TABLE),table $(TABLE),results) --data $(TEST_DATA) \
		--labels $(TEST_LABELS) --training-data $(DATA) --training-labels $(LABELS) \
		--classifier $(CLASSIFIER) --photos $(PHOTOS) --count $(COUNT) $(ARGS)

models: $(VENV)/installed-train runs/color
	$(VENV)/bin/train $(filter-out $(LAST), $(RECIPES)) --data $(DATA) --labels $(LABELS) \
		--color-data runs/color --runs runs $(ARGS)
	$(VENV)/bin/build_gallery config/training/contrast_faceres.yaml --data $(DATA) --runs runs --count 160
	set -e; for recipe in $(LAST); do \
		$(VENV)/bin/train $$recipe --data $(DATA) --runs runs $(ARGS); \
		$(VENV)/bin/build_gallery $$recipe --data $(DATA) --runs runs; \
	done
	$(VENV)/bin/export_models --recipes config/training --runs runs --models models \
		--data '$(notdir $(DATA))' --color-data '$(COLOR_PEOPLE) people of $(notdir $(COLOR_DATA))'

runs/color:
	mkdir -p $@
	tar -tf $(COLOR_DATA) | cut -d/ -f1,2 | sort -u | grep / | head -n $(COLOR_PEOPLE) \
		| tar -xf $(COLOR_DATA) -C $@ --strip-components=1 -T -

clean:
	rm -rf .venv .venv-* demo

# A new setup.py begins a new environment, which takes the stamps of what was installed with it.
$(VENV)/pyvenv.cfg: setup.py
	@echo 'Making the environment $(VENV), once.'
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed-%: $(VENV)/pyvenv.cfg
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(DISTRO),$*]'
	@touch $@
