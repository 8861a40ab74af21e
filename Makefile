# make demo    sets everything up and runs the taxi pipeline on real data
# make demo-analyzer  the same with the clusters found inside Transform
# make kubeflow  compiles, checks and rehearses the pipeline for Kubeflow Pipelines
# make test    sets everything up and runs the tests
# make venv    sets everything up
# make kfp-venv  makes an environment with the kfp SDK alone, to submit pipelines from
# make lint    checks style
# make lock    resolves the pinned requirements anew

VENV := .venv
LOCK := requirements/tfx-1.16.txt
PYTHON_VERSION := 3.10
PYTHON := $(VENV)/bin/python
# the kfp SDK that does not go with TFX 1.16
KFP_VENV := .venv-kfp
KFP_LOCK := requirements/kfp.txt

.PHONY: demo demo-analyzer kubeflow test venv kfp-venv lint lock clean

demo: venv
	@$(PYTHON) -W ignore pipelines/demo.py

demo-analyzer: venv
	@TFX_KMEANS_OUTPUT=output/analyzer $(PYTHON) -W ignore pipelines/demo.py --analyzer

kubeflow: venv
	@$(PYTHON) -W ignore kubeflow/rehearse.py

test: venv kfp-venv lint
	$(PYTHON) -m pytest

venv: $(VENV)/.complete

kfp-venv: $(KFP_VENV)/.complete

$(KFP_VENV)/.complete: $(KFP_LOCK) requirements/make_venv.sh
	@requirements/make_venv.sh $(KFP_VENV) $(KFP_LOCK) $(PYTHON_VERSION)

$(VENV)/.complete: $(LOCK) setup.py requirements/make_venv.sh
	@requirements/make_venv.sh $(VENV) $(LOCK) $(PYTHON_VERSION)

lint: venv
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .

lock: venv
	for lock in $(LOCK) $(KFP_LOCK); do \
	    $(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --no-annotate --no-header \
	        --python-version $(PYTHON_VERSION) $${lock%.txt}.in --output-file $$lock || exit 1; \
	done

clean:
	rm -rf $(VENV) $(KFP_VENV) output
