# make demo    sets everything up and runs the taxi pipeline on real data
# make demo-analyzer  the same with the clusters found inside Transform
# make demo-retrain  runs it on a second span of data: cluster ids stay what they were
# make kubeflow  compiles, checks and rehearses the pipeline for Kubeflow Pipelines
# make test    sets everything up and runs the tests
# make test-report  looks at the report in a real browser, which it installs where it can
# make test-other-line  runs the tests on the other line of TFX, and exchanges artifacts with it
# make test-faults  runs those tests of damage, faults and ties that take minutes
# make test-flink  runs KMeans on a Flink cluster that it starts; skips what this machine cannot run
# make bench   measures graph.fit beside other libraries, and writes benchmarks/RESULTS.md
# make bench-beam  measures passes on Beam: local runner, workers, Flink; into the same file
# make dist    builds wheel and sdist, and installs them without a lock, by pip and by uv
# make venv    sets everything up
# make kfp-venv  makes an environment with the kfp SDK alone, to submit pipelines from
# make lint    checks style
# make lock    resolves the pinned requirements anew
#
# The line of TFX is what this machine can run; TFX=1.16 or TFX=1.21 chooses another.

# words: the line, the Python that it takes, and why it is this one
CHOICE := $(shell requirements/choose_line.sh $(TFX))
LINE := $(word 1,$(CHOICE))
PYTHON_VERSION := $(word 2,$(CHOICE))
WHY := $(wordlist 3,99,$(CHOICE))
ifeq ($(LINE),)
    $(error No line of TFX to work with)
endif
OTHER_LINE := $(filter-out $(LINE),1.16 1.21)

VENV := .venv-$(LINE)
LOCK := requirements/tfx-$(LINE).txt
PYTHON := $(VENV)/bin/python
# the kfp SDK that does not go with TFX 1.16
KFP_VENV := .venv-kfp
KFP_LOCK := requirements/kfp.txt
# with the libraries that ours is measured beside
BENCH_VENV := .venv-bench

.PHONY: demo demo-analyzer demo-retrain kubeflow test test-report test-other-line test-flink test-faults dist \
    bench bench-beam venv kfp-venv lint lock clean line

demo: line venv
	@$(PYTHON) -W ignore pipelines/demo.py

demo-analyzer: line venv
	@TFX_KMEANS_OUTPUT=output/analyzer $(PYTHON) -W ignore pipelines/demo.py --analyzer

demo-retrain: line venv
	@rm -rf output/retrain
	@TFX_KMEANS_OUTPUT=output/retrain $(PYTHON) -W ignore pipelines/retrain.py

kubeflow: line venv
	@$(PYTHON) -W ignore kubeflow/rehearse.py

# in two processes, with the tests of a file in one of them: they share what is expensive to make
test: export TFX_KMEANS_KFP_VENV := $(abspath $(KFP_VENV))
test: line venv kfp-venv lint
	$(PYTHON) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-report: line venv
	@requirements/find_chromium.sh
	$(PYTHON) -m pytest tests/report

# on this machine if it can run the other line, in a root file system of its own if not
OTHER_MAKE = $(shell requirements/choose_line.sh $(OTHER_LINE) >/dev/null 2>&1 && echo $(MAKE) \
    || echo requirements/debian13.sh make VENV=/venv KFP_VENV=/venv-kfp) TFX=$(OTHER_LINE)
# where each line leaves what it wrote for the other to read
test-other-line: export TFX_KMEANS_EXCHANGE := $(abspath output/exchange)
EXCHANGE_TEST := $(PYTHON) -m pytest tests/pipelines/exchange_test.py

test-other-line: line venv
	rm -rf output/exchange
	mkdir -p output/exchange
	$(EXCHANGE_TEST)
	TFX_KMEANS_READ=$(LINE) $(OTHER_MAKE) test dist
	TFX_KMEANS_READ=$(OTHER_LINE) $(EXCHANGE_TEST)

# without Java or Maven it says so, and fails only with FLINK=required
test-flink: line venv
	$(PYTHON) -m pytest tests/flink

# beyond 10 minutes it fails
test-faults: line venv
	timeout 600 $(PYTHON) -m pytest --numprocesses=2 --dist=loadfile tests/faults/long

dist: line venv
	@rm -rf dist
	@mkdir -p output
	@$(PYTHON) -m build --no-isolation --outdir dist . >output/build.log
	@requirements/try_dist.sh $(PYTHON) dist/*

bench: line $(BENCH_VENV)/.complete
	@$(BENCH_VENV)/bin/python -W ignore benchmarks/fit.py
	@$(BENCH_VENV)/bin/python -W ignore benchmarks/optima.py
	@$(BENCH_VENV)/bin/python -W ignore benchmarks/streaming.py

# without Java or Maven it says so, and leaves Flink out
bench-beam: line venv
	@$(PYTHON) -W ignore benchmarks/beam_engine.py

$(BENCH_VENV)/.complete: $(LOCK) requirements/bench.txt setup.py requirements/make_venv.sh
	@requirements/make_venv.sh $(BENCH_VENV) $(LOCK) $(PYTHON_VERSION) requirements/bench.txt

line:
	@echo 'TFX $(LINE) on Python $(PYTHON_VERSION): $(WHY)'

venv: $(VENV)/.complete

kfp-venv: $(KFP_VENV)/.complete

$(KFP_VENV)/.complete: $(KFP_LOCK) requirements/make_venv.sh
	@requirements/make_venv.sh $(KFP_VENV) $(KFP_LOCK) $(PYTHON_VERSION)

$(VENV)/.complete: $(LOCK) setup.py requirements/make_venv.sh
	@requirements/make_venv.sh $(VENV) $(LOCK) $(PYTHON_VERSION)

lint: venv
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .

# line, Python, glibc: a lock is made for the system of its line, whatever this one is
resolve = $(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --no-annotate --no-header \
    --python-version $(2) --python-platform x86_64-manylinux_$(3) \
    requirements/tfx-$(1).in --output-file requirements/tfx-$(1).txt

lock: venv
	$(call resolve,1.16,3.10,2_28)
	$(call resolve,1.21,3.13,2_39)
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --no-annotate --no-header \
	    --python-version 3.10 $(KFP_LOCK:.txt=.in) --output-file $(KFP_LOCK)

clean:
	rm -rf .venv-1.16 .venv-1.21 $(KFP_VENV) $(BENCH_VENV) build dist output
