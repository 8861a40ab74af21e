# make demo    sets everything up and runs the taxi pipeline on real data
# make demo-analyzer  the same with the clusters found inside Transform
# make kubeflow  compiles, checks and rehearses the pipeline for Kubeflow Pipelines
# make test    sets everything up and runs the tests
# make venv    sets everything up
# make lint    checks style
# make lock    resolves the pinned requirements anew

VENV := .venv
LOCK := requirements/tfx-1.16.txt
PYTHON_VERSION := 3.10
PYTHON := $(VENV)/bin/python

.PHONY: demo demo-analyzer kubeflow test venv lint lock clean

demo: venv
	@$(PYTHON) -W ignore pipelines/demo.py

demo-analyzer: venv
	@TFX_KMEANS_OUTPUT=output/analyzer $(PYTHON) -W ignore pipelines/demo.py --analyzer

kubeflow: venv
	@$(PYTHON) -W ignore kubeflow/rehearse.py

test: venv lint
	$(PYTHON) -m pytest

venv: $(VENV)/.complete

$(VENV)/.complete: $(LOCK) setup.py requirements/make_venv.sh
	@requirements/make_venv.sh $(VENV) $(LOCK) $(PYTHON_VERSION)

lint: venv
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .

lock: venv
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --no-annotate --no-header \
	    --python-version $(PYTHON_VERSION) $(LOCK:.txt=.in) --output-file $(LOCK)

clean:
	rm -rf $(VENV) output
