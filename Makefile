# The front door: `make help` lists the targets. Each installs what it needs and finds missing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.ONESHELL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VERSION := $(shell sed -n 's/^\#define FPO_VERSION "\(.*\)"/\1/p' include/fpo.h)
ABI := $(shell sed -n 's/^\#define FPO_ABI_MAJOR \([0-9]*\)u.*/\1/p' include/fpo.h)

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)

# CC and CXX in the environment would replace the clang that SwiftPM's C targets need.
SWIFT := env -u CC -u CXX swift
BIN := .venv/bin
PYTHON_SOURCES := python benchmarks notebooks scripts

##@ For users

# What SwiftPM cannot say: the soname of the installed file, and that the library stays loaded (its
# worker threads outlive a dlclose). The import check makes the layering of Package.swift binding.
SCRATCH := .build
OUTPUT := build/lib
LINK := -Xlinker -soname=libfpo.so.$(ABI) -Xlinker -z -Xlinker nodelete
LIBRARY := $(OUTPUT)/libfpo.so.$(VERSION)
# BLAS_DIR, with a libopenblas.so that is the scipy-openblas32 package's, links that one instead.
ifdef BLAS_DIR
LINK += -Xcc -DFPO_BLAS_SCIPY -Xlinker -L$(BLAS_DIR)
endif

.PHONY: build
build: build/.system-build ## Build build/lib/libfpo.so
	$(SWIFT) build -c release --product fpo --scratch-path $(SCRATCH) -j $(JOBS) \
	    --explicit-target-dependency-import-check error $(LINK)
	mkdir -p $(OUTPUT)
	strip --strip-unneeded -o $(LIBRARY).new $(SCRATCH)/release/libfpo.so
	mv $(LIBRARY).new $(LIBRARY)
	ln -sf libfpo.so.$(VERSION) $(OUTPUT)/libfpo.so.$(ABI)
	ln -sf libfpo.so.$(ABI) $(OUTPUT)/libfpo.so

.PHONY: demo
demo: build .venv/.demo ## Replay the paper's experiments, with figures in build/demo
	$(BIN)/fpo demo --output build/demo

.PHONY: install
install: build ## Install library, header, pkg-config and CMake files (DESTDIR, PREFIX)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,include lib/pkgconfig lib/cmake/fpo)
	install -m 644 include/fpo.h $(DESTDIR)$(PREFIX)/include/
	cp -P $(OUTPUT)/libfpo.so* $(DESTDIR)$(PREFIX)/lib/
	sed 's/@VERSION@/$(VERSION)/' cmake/fpo.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/fpo.pc
	sed 's/@VERSION@/$(VERSION)/' cmake/fpo-config-version.cmake.in \
	    > $(DESTDIR)$(PREFIX)/lib/cmake/fpo/fpo-config-version.cmake
	install -m 644 cmake/fpo-config.cmake $(DESTDIR)$(PREFIX)/lib/cmake/fpo/

.PHONY: notebooks
notebooks: build .venv/.test ## Run all notebooks in full and keep their figures
	$(BIN)/pytest --nbmake --nbmake-timeout=1800 --overwrite notebooks
	python3 scripts/strip_notebooks.py

.PHONY: bench
bench: build .venv/.bench ## Measure against PyTorch and JAX; writes build/bench.json
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m benchmarks --output build/bench.json

##@ For developers

.PHONY: test
test: ## Everything that must hold: lint, Swift, ABI, Python and notebook tests
	@for step in lint test-swift check-abi test-python test-notebooks; do
	    start=$$SECONDS
	    echo "== $$step"
	    $(MAKE) $$step
	    echo "== $$step: $$((SECONDS - start)) s"
	done

.PHONY: test-swift
test-swift: build-tests ## Swift tests
	$(SWIFT) test --skip-build

.PHONY: build-tests
build-tests: build/.system-test
	$(SWIFT) build --build-tests -j $(JOBS) --explicit-target-dependency-import-check error

.PHONY: test-python
test-python: build .venv/.test ## Python tests
	$(BIN)/pytest

.PHONY: test-notebooks
test-notebooks: build .venv/.test ## Run all notebooks in their fast mode, changing nothing
	FPO_QUICK=1 $(BIN)/pytest --nbmake --nbmake-timeout=300 notebooks

.PHONY: check-abi
check-abi: build build/.system-test ## Header, exports, C examples under valgrind, an old client
	scripts/check_abi.sh $(LIBRARY) $(SCRATCH)/release

.PHONY: symbols
symbols: ## Rewrite the export list after a change of include/fpo.h
	python3 scripts/symbols.py

# ThreadSanitizer by default ends a child of fork() that starts threads, as a test of ours does.
.PHONY: sanitize
sanitize: export SWIFT_BACKTRACE := enable=no
sanitize: export TSAN_OPTIONS := die_after_fork=0
sanitize: export LSAN_OPTIONS := suppressions=$(CURDIR)/Tests/lsan.supp:print_suppressions=0
sanitize: build/.system-test ## Swift tests under AddressSanitizer and ThreadSanitizer
	$(SWIFT) test --sanitize=address --scratch-path .build-asan -j $(JOBS)
	$(SWIFT) test --sanitize=thread --scratch-path .build-tsan -j $(JOBS)

.PHONY: mutants
mutants: .venv/.test build/.system-test ## Plant one-token errors; some test must find each
	python3 scripts/mutants.py

.PHONY: lint
lint: .venv/.test ## Formatting, types and the rules of the house
	swift format lint --strict --recursive Package.swift Sources Tests
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/mypy
	if command -v clang-format >/dev/null; then
	    clang-format --dry-run --Werror include/*.h Sources/*/*.[ch] Sources/*/include/*.h examples/c/*.c
	fi
	python3 scripts/symbols.py --check
	python3 scripts/mutants.py --check
	python3 scripts/strip_notebooks.py --check
	python3 scripts/check_house.py

.PHONY: format
format: .venv/.test ## Format all sources in place
	swift format --in-place --recursive Package.swift Sources Tests
	$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	$(BIN)/ruff format $(PYTHON_SOURCES)

.PHONY: docs
docs: build .venv/.docs ## Python reference in build/docs
	$(BIN)/pdoc --docformat google --output-directory build/docs fpo

.PHONY: wheel
wheel: .venv/.wheel ## A manylinux wheel in dist/, tried in an empty environment
	scripts/build_wheel.sh dist

.PHONY: sdist
sdist: .venv/.wheel ## A source distribution in dist/
	$(BIN)/python -m build --sdist --no-isolation

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf .build .build-* build dist .venv .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

# Set-up, once: a stamp goes stale when the script or a pinned version changes.

build/.system-%: scripts/setup.sh
	scripts/setup.sh system $*
	mkdir -p build
	touch $@

build/.system-test: build/.system-build

.venv/.%: scripts/setup.sh pyproject.toml constraints.txt | build/.system-build
	scripts/setup.sh venv $*
	touch $@
.PRECIOUS: build/.system-% .venv/.%
