# Kejin 科金: the commands of daily work. `make` alone lists them.
# Needs only make and a python3 (3.11 or newer) that has pip; everything else goes to .venv.

PYTHON ?= python3
JOBS ?= 4

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.SUFFIXES:
.NOTPARALLEL:

# What a user's shell may carry must not leak into .venv.
unexport PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_VIRTUALENV PIP_CONSTRAINT
export PIP_USER = 0

VENV := .venv
PEER := umadb==0.7.8
BIN := $(VENV)/bin
QUIET := -qq --disable-pip-version-check --root-user-action=ignore --no-input --progress-bar off

# Stamps hold what .venv was made from: the folder and the lock, the version and the path of the Python; and the
# project's own metadata. A moved checkout, a changed lock, a half-made or damaged .venv: made again from nothing.
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed

# Is every locked package there, in its locked version, with all its files?
define CHECK
import importlib.metadata as m, pathlib, re, sys
have = {re.sub(r"[-_.]+", "-", d.name).lower(): d for d in m.distributions(path=[p for p in sys.path if "site-packages" in p])}
for name, version, marker in re.findall(r"^([\w.-]+)==(\S+) *(;)?", pathlib.Path("requirements.lock").read_text("utf-8"), re.M):
    d = have.get(name)
    if d is None and marker:
        continue
    if d is None or d.version != version or not all(f.suffix == ".pyc" or f.locate().exists() for f in d.files or ()):
        sys.exit(1)
endef
export CHECK

# Nobody named a Python, and `python3` was built without profile-guided optimisation (pyenv's default): then the system's
# own, if it is of the same version and has pip and headers. Distributions build theirs with it: a fifth less time.
define CHOOSE
import os, subprocess, sys, sysconfig
system = "/usr/bin/python3"
probe = """import os, re, sys, sysconfig, pip, venv
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
pip_version = [int(number) for number in re.findall("[0-9]+", pip.__version__)[:2]]
sys.exit(sys.argv[1] != "%d.%d" % sys.version_info[:2] or pip_version < [22, 3] or not os.path.exists(header))"""
plain = "--enable-optimizations" not in (sysconfig.get_config_var("CONFIG_ARGS") or "--enable-optimizations")
if plain and sys.platform == "linux" and os.path.exists(system):
    words = [system, "-c", probe, "%d.%d" % sys.version_info[:2]]
    if subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0:
        print(system)
        sys.exit()
print(sys.argv[1])
endef
export CHOOSE

.PHONY: help environment install demo serve test lint bench clean

help:
	@echo 'make install  安装到 .venv，得到 .venv/bin/kejin · install into .venv, which gives .venv/bin/kejin'
	@echo 'make demo     演示：建账、记账、查询、核验 · a demonstration; its last line is the folder of its ledger'
	@echo 'make serve    演示账本的网页与 HTTP 服务 · pages and HTTP: the demo'"'"'s ledger (run make demo first)'
	@echo 'make test     静态检查与全部测试 · lint and all tests (as root on Debian also on its PostgreSQL and in Chromium)'
	@echo 'make lint     只做静态检查：ruff、mypy、import-linter · the static checks alone'
	@echo 'make bench    性能测试：一张表，同类并列 · benchmarks: one table, each figure beside its peer'
	@echo 'make clean    删除 .venv 与缓存，不动账本数据 · remove .venv and caches; ledgers stay'

environment:
	@set -eu; \
	place="$$(pwd -P) | $$(cksum < requirements.lock)"; \
	python="$(PYTHON)"; fresh=no; \
	if [ "$$(sed -n 1p $(LOCKED) 2>/dev/null)" = "$$place" ]; then \
	    fresh=yes; \
	    if [ "$(origin PYTHON)" = file ]; then \
	        python="$$(sed -n 3p $(LOCKED))"; \
	    elif [ "$$(sed -n 2p $(LOCKED))" != "$$("$$python" -V 2>&1)" ]; then \
	        fresh=no; \
	    fi; \
	    $(BIN)/python -c "$$CHECK" 2>/dev/null || fresh=no; \
	fi; \
	if [ $$fresh = no ]; then \
	    python="$(PYTHON)"; \
	    command -v "$$python" >/dev/null 2>&1 || { \
	        echo "kejin: $$python not found 找不到; Python 3.11 or newer is needed 需要 3.11 以上: make install PYTHON=/path/to/python3" >&2; exit 2; }; \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	        echo "kejin: $$python is $$("$$python" -V 2>&1); Python 3.11 or newer is needed 需要 3.11 以上: make install PYTHON=/path/to/python3" >&2; exit 2; }; \
	    [ "$(origin PYTHON)" != file ] || python="$$("$$python" -c "$$CHOOSE" "$$python")"; \
	    if "$$python" -c 'import pip, re, sys; sys.exit([int(n) for n in re.findall(r"\d+", pip.__version__)[:2]] < [22, 3])' 2>/dev/null; then \
	        without=--without-pip; \
	    elif "$$python" -c 'import ensurepip' 2>/dev/null; then \
	        without=; \
	    else \
	        echo "kejin: $$python has no pip 22.3 or newer 缺少 pip; on Debian or Ubuntu: apt-get install python3-pip" >&2; exit 2; \
	    fi; \
	    echo "[1/4] $$("$$python" -V) ($$python) → $(VENV)"; \
	    rm -rf $(VENV); \
	    "$$python" -m venv $$without $(VENV); \
	fi; \
	pip() { \
	    if [ -e $(BIN)/pip ]; then $(BIN)/python -m pip "$$@"; else "$$python" -m pip --python $(BIN)/python "$$@"; fi; \
	}; \
	if [ $$fresh = no ]; then \
	    echo "[2/4] $$(grep -c '==' requirements.lock) locked packages 安装依赖 (the first time a minute or two)"; \
	    pip install $(QUIET) --require-hashes --only-binary :all: -r requirements.lock; \
	    { echo "$$place"; "$$python" -V; "$$python" -c 'import sys; print(sys.executable)'; } > $(LOCKED); \
	fi; \
	project="$$(cksum < pyproject.toml)"; \
	set -- $(VENV)/lib/python*/site-packages/__editable__.kejin_ledger-*.pth; \
	if [ "$$(cat $(INSTALLED) 2>/dev/null)" != "$$project" ] || [ ! -x $(BIN)/kejin ] || [ ! -e "$$1" ]; then \
	    echo "[3/4] kejin → $(BIN)/kejin"; \
	    rm -f $(INSTALLED); \
	    pip install $(QUIET) --no-deps --no-build-isolation --no-index -e .; \
	    echo "$$project" > $(INSTALLED); \
	fi

# The pure core as machine code, where there is a C compiler; without one the sources run as they are.
install: environment
	@$(BIN)/python -W ignore scripts/compile.py

serve: install
	@$(BIN)/python scripts/serve.py

demo: install
	@$(BIN)/python scripts/demo.py

test: install
	@sh scripts/test_packages.sh
	@$(MAKE) lint
	@echo "pytest"
	@sh scripts/tests.sh $(BIN)/python $(JOBS)

# Sizes and rows: make bench BENCH="--events 100000 1000000 --runs 5"; python -m scripts.bench --help
# A peer comes as a wheel of its own, where the machine is one that it was built for; else it is left out.
bench: install
	@$(BIN)/python -c 'import umadb' 2>/dev/null \
	    || "$$(sed -n 3p $(LOCKED))" -m pip --python $(BIN)/python install $(QUIET) --only-binary :all: $(PEER) \
	    || echo "$(PEER) 不适用于此机器，略去 · does not fit this machine: left out"
	@$(BIN)/python -m scripts.bench $(BENCH)

lint: environment
	@echo "ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "ruff format --check"
	@$(BIN)/ruff format --quiet --check .
	@echo "mypy --strict"
	@$(BIN)/mypy --no-error-summary
	@echo "import-linter"
	@$(BIN)/lint-imports --no-cache --no-logo

clean:
	@rm -rf $(VENV) build dist kejin_ledger.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
