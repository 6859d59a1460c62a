# One command from a fresh checkout: `make demo` to see it work, `make test` to check it. Needs Python >= 3.10 with
# venv, a C++20 compiler and make; everything else goes into .venv.
#
#   PYTHON=python3.12       the Python that .venv is made from
#   TORCH=torch==2.12.0     another PyTorch (default: the tested one, from constraints.txt)
#   MUTATIONS=              options of make mutations, such as "--only python --count 50 --seed 3"; --help has all
#   SECONDS=                how long make fuzz and make soak take; TARGETS= which ("spz sog"); default: all
#   TORCH_INDEX=            where pip looks for PyTorch besides its usual index. The default has the CPU build, which
#                           on Linux saves gigabytes of CUDA libraries; without a way there pip's usual index serves.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= $(shell grep '^torch==' constraints.txt)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := $(VENV)/bin
RUN := $(BIN)/python
PIP := $(BIN)/pip --disable-pip-version-check
SECONDS ?= 600
WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile
CPP_FILES = $(shell find csrc tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

.PHONY: help demo test build lint format recipes sanitize build-report cuda-report mutations fuzz soak faults docs viewer bench clean

help:
	@echo "make demo      install into $(VENV), train the sample scene, write a report   (about 5 minutes)"
	@echo "make test      install into $(VENV), run the test suite"
	@echo "make build     compile the operators in place (after a change of csrc)"
	@echo "make lint      ruff, clang-format and mypy; 'make format' mends what can be mended"
	@echo "make recipes   build the operators with the examples of CONTRIBUTING.md and test these like any part of ours"
	@echo "make sanitize  run the operator tests with the address and undefined-behaviour sanitizers"
	@echo "make build-report compare the build's processor time and the library's size with their budgets"
	@echo "make cuda-report  compare the CUDA kernels with their ceilings: registers, spills, instructions, work per pixel"
	@echo "make mutations    plant mistakes in Python and csrc/math, take away barriers: do the tests notice?   (hours)"
	@echo "make fuzz      feed changed files to all readers, guided by coverage; SECONDS=3600 is an hour"
	@echo "make faults    let each system call that writes fail, in each way: what is left?   (half an hour)"
	@echo "make soak      start, kill, resume and export runs at random for SECONDS"
	@echo "make docs      build the documentation into site/ (open site/index.html)"
	@echo "make viewer    bundle the libraries of exported pages anew, from npm (after a change of their versions)"
	@echo "make bench     measure this machine, the rasterizer and training"
	@echo "make clean     remove what was built ($(VENV) and runs/ stay)"

# A minute of two cores: half the steps of the preset, and no more Gaussians than 31 small photographs determine.
demo: build
	$(BIN)/gsplat-core train data -o runs/demo --preset fast --steps 4000 --max-gaussians 40000 --overwrite
	@echo
	@echo "Look at runs/demo/report.html in a browser; runs/demo/point_cloud.ply is the trained scene."

test: build
	PYTHONPATH=tests:. $(RUN) -m cuda_on_cpu.operators
	PYTHONPATH=tests:. $(RUN) -m aarch64.build
	$(RUN) -m pytest $(WORKERS)

build: $(VENV)/.installed
	$(RUN) setup.py -q build_ext --inplace

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP_FILES)
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP_FILES)

recipes: build
	PYTHONPATH=tests:. $(RUN) -m recipes

# Python itself is built without sanitizers, so their run-time library is loaded ahead of everything. What Python and
# PyTorch keep until the process ends is no leak of ours.
sanitize: build
	$(RUN) csrc/build_ops.py sanitize
	PYTHONPATH=tests:. $(RUN) -m cuda_on_cpu.operators address
	CXX=$${CXX:-c++} && GSPLAT_LIBRARY=build/sanitize/_ops.abi3.so ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	LD_PRELOAD="$$($$CXX -print-file-name=libasan.so) $$($$CXX -print-file-name=libstdc++.so)" \
	$(RUN) -m pytest $(WORKERS) tests/ops tests/render/test_rasterizer.py tests/test_forward_mode.py \
	tests/second_order/test_linearization.py tests/second_order/test_solver.py

build-report: build
	$(RUN) tools/build_report.py --check

cuda-report: build
	$(RUN) tools/cuda_report.py --check
	$(RUN) tools/kernel_report.py --check

mutations: build
	PYTHONPATH=tests:. $(RUN) -m mutations $(MUTATIONS)

fuzz: build
	PYTHONPATH=tests:. $(RUN) -m fuzz --seconds $(SECONDS) $(if $(TARGETS),--targets $(TARGETS))

faults: build
	GSPLAT_FAULTS=all $(RUN) -m pytest tests/trainers/test_failing_writes.py

soak: build
	PYTHONPATH=tests:. $(RUN) -m soak --seconds $(SECONDS)

docs: $(VENV)/.installed-docs build
	$(BIN)/mkdocs build -q

viewer: $(VENV)/.installed
	$(RUN) tools/bundle_viewer.py

bench: build
	$(BIN)/gsplat-core bench

clean:
	rm -rf build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis gsplat_core/*.so
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The environment, in steps that are repeated only when what they depend on has changed.
$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "gsplat_core needs Python 3.10 or newer; name one, for example: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "python's venv module is missing (Debian and Ubuntu: apt install python3-venv)"; exit 1; }

$(VENV)/.torch: constraints.txt | $(RUN)
	@echo "Installing $(TORCH) into $(VENV) (a large download) ..."
	@$(PIP) install -qq --retries 0 $(TORCH_INDEX:%=--extra-index-url %) "$(TORCH)" || $(PIP) install "$(TORCH)"
	@touch $@

$(VENV)/.installed: pyproject.toml setup.py $(VENV)/.torch
	@echo "Compiling gsplat_core and installing it with what its tests need into $(VENV) ..."
	@$(PIP) install -q --editable '.[test]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	@$(PIP) install -q --editable '.[docs]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) install -q --editable '.[dev]'
	@touch $@
