# Every job sets up what it needs by itself; BUILD.md has the details.
#   make help                          what there is
#   make PYTHON=/path/to/python3.11    which Python the environment is made with

unexport PYTHONPATH PYTHONHOME

PYTHON ?=
OUTPUT_DIR ?= results/bank_case_study
DATA_DIR ?=
ARGS ?=
UPGRADE ?=

python := .venv/bin/python
set_up := python3 scripts/set_up.py

.DEFAULT_GOAL := help
.PHONY: help set-up case-study compare-real sweep attacks report headline bench test lint messages format lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

set-up: ## the environment in .venv; every job below calls it
	@command -v python3 >/dev/null || { echo 'set-up: error: install Python 3 (any version)' >&2; exit 1; }
	@$(set_up) --python='$(PYTHON)'

case-study: set-up ## three banks train one credit-risk model; writes OUTPUT_DIR
	$(python) -m experiments.bank_case_study --output_dir='$(OUTPUT_DIR)' $(ARGS)
	@$(python) -m experiments.write_report --record='$(OUTPUT_DIR)/record' --output='$(OUTPUT_DIR)/report.html'

compare-real: set-up ## all presets on public tables in DATA_DIR (missing ones are downloaded where possible); writes results/PRESET
	@test -n '$(DATA_DIR)' || { echo 'compare-real: error: say where the public tables are, DATA_DIR=...; see data/README.md' >&2; exit 2; }
	@for preset in $$(grep -l -e --dataset= experiments/presets/*.flags); do \
		name=$$(basename "$$preset" .flags); echo "compare-real: $$preset, writes results/$$name"; \
		$(python) -m experiments.compare --flagfile="$$preset" --data_dir='$(DATA_DIR)' --output_dir="results/$$name" $(ARGS) || exit 1; \
		$(python) -m experiments.write_report --record="results/$$name/record" --output="results/$$name/report.html" || exit 1; \
	done

sweep: set-up ## accuracy against heterogeneity; writes results/heterogeneity_sweep
	$(python) -m experiments.sweep_heterogeneity --output_dir=results/heterogeneity_sweep $(ARGS)

attacks: set-up ## what attackers get out of models and updates; writes results/attacks
	$(python) -m experiments.attack_models --output_dir=results/attacks $(ARGS)
	@$(python) -m experiments.write_report --record=results/attacks/record --output=results/attacks/report.html

bench: set-up ## speed and memory beside stock TFF and NumPy; writes results/benchmark.json
	$(python) -m benchmarks.fed_avg --output=results/benchmark.json $(ARGS)

# Not by their numbers of tests: few tests may take long, and come last then, one core idle.
test: set-up ## all tests, files in parallel; ARGS goes to pytest (such as -n0: one after the other)
	$(python) -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(ARGS)

lint: set-up ## style, formatting, types, layers
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/basedpyright
	.venv/bin/lint-imports

messages: set-up ## brings the report's new English words into its translations
	.venv/bin/pybabel -q extract -F babel.cfg -k say -k mark --no-location --sort-output -o .report.pot .
	.venv/bin/pybabel -q update -i .report.pot -d tff_finance/report/locale -D report --no-fuzzy-matching --ignore-obsolete --omit-header
	rm .report.pot

report: set-up ## report.html of the last case study in OUTPUT_DIR; ARGS=--language=zh for Chinese
	$(python) -m experiments.write_report --record='$(OUTPUT_DIR)/record' --output='$(OUTPUT_DIR)/report.html' $(ARGS)

headline: set-up ## the README's figure, docs/headline.png, from the record in OUTPUT_DIR
	$(python) -m experiments.draw_headline --record='$(OUTPUT_DIR)/record' --output=docs/headline.png

format: set-up ## formats, and corrects what can be corrected safely
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

lock: ## requirements.lock from pyproject.toml; UPGRADE=1 for the newest versions
	@$(set_up) --lock $(if $(UPGRADE),--upgrade)

clean: ## deletes the environment and all caches; leaves results/
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .coverage coverage.xml htmlcov build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
