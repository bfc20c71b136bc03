# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
#
# For a machine without ROS: Debian or Ubuntu with python3 >= 3.10 and python3-venv.
#   make demo     flies a simulated camera and anonymizes it; ARGS='--help' lists the options
#   make test     all checks that need no torch, and says at its end what it left out
#   make test-all all checks, with torch; a gigabyte more
#   make test-graph   only the tests of the running node
#   make test-install   the README's section "Install" on stand-ins for Ubuntu 22.04 and 24.04;
#                 PREFIX310=PATH PREFIX312=PATH, where Pythons 3.10 and 3.12 are installed
#   make test-python PYTHON=PATH   the tests of core and node with another Python
#   make test-tx2 the core's tests with the Python and the packages of a Jetson TX2; PYTHON36=PATH
#   make results  measures docs/RESULTS.md anew; TABLE=6 one table of it; hours on two cores
#   make models   trains all networks anew: DATA, LABELS, COLOR_DATA; hours on two cores
#   make clean    removes what the above made
# DISTRO=kilted takes the ROS 2 wheels of another distribution.

DISTRO ?= jazzy
PYTHON ?= python3
PYTHON36 ?= python3.6
PREFIX310 ?= /usr
PREFIX312 ?= /usr
ARGS ?=
# Test files that are run at a time.
WORKERS ?= 2
# Wheels of two distributions cannot share an environment.
VENV := .venv$(if $(filter-out jazzy,$(DISTRO)),-$(DISTRO))
TX2 := .venv-tx2

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

.PHONY: demo test test-all test-graph test-install test-python test-tx2 results models clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed-demo
	$(VENV)/bin/python -m deid_ros.offboard.demo $(ARGS)

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/vermin --quiet --no-tips --violations --eval-annotations --target=3.6- \
		deid_ros/core deid_ros/node launch setup.py test/core
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)
	@$(VENV)/bin/python -c 'import torch' 2>/dev/null || echo 'Left out: the tests that need torch,' \
		'of training, the backends torch and tensorrt, and some measures. "make test-all" runs them.'

# With a gate: of each of these folders, so many percent of the lines must have been run.
COVERED := core node offboard/recordings
LEAST_COVERAGE := 90

test-all: $(VENV)/installed-test $(VENV)/with-torch
	rm -rf .coverage
	$(MAKE) test ARGS='--cov --cov-report= $(ARGS)'
	@for folder in $(COVERED); do echo "Lines of $$folder that the tests run, in percent:"; \
		$(VENV)/bin/coverage report --include="deid_ros/$$folder/*" --format=total \
			--fail-under=$(LEAST_COVERAGE) || exit 1; done

$(VENV)/with-torch: $(VENV)/installed-test
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@touch $@

test-graph: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest test/node $(ARGS)

test-install:
	test/install/run $(PREFIX310) 3.10 numpy==1.21.5 opencv-python-headless==4.5.4.60
	test/install/run $(PREFIX312) 3.12 numpy==1.26.4 opencv-python-headless==4.6.0.66

# README promises 3.10 to 3.13.
test-python:
	$(MAKE) .venv-$(notdir $(PYTHON))/installed-test VENV=.venv-$(notdir $(PYTHON))
	.venv-$(notdir $(PYTHON))/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile \
		test/core test/node $(ARGS)

test-tx2: $(TX2)/installed $(VENV)/installed-test
	$(TX2)/bin/python -m compileall -q deid_ros/core deid_ros/node launch setup.py
	$(TX2)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile test/core $(ARGS)
	TX2_PYTHON=$(TX2)/bin/python $(VENV)/bin/python -m pytest test/test_tx2.py $(ARGS)

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

$(TX2)/installed: test/requirements_tx2.txt
	@$(PYTHON36) --version >/dev/null 2>&1 || { echo 'make test-tx2 needs Python 3.6, which a Jetson' \
		'TX2 has; there is no $(PYTHON36). Name one with PYTHON36=PATH; "pyenv install 3.6.15"' \
		'makes one.' >&2; exit 1; }
	$(PYTHON36) -m venv --clear $(TX2)
	$(TX2)/bin/python -m pip install -qq --disable-pip-version-check pip==21.3.1
	$(TX2)/bin/python -m pip install -qq --no-deps -r $<
	@touch $@
