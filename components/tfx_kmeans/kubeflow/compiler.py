"""Compiles a TFX pipeline for Kubeflow Pipelines v2, or for Vertex AI Pipelines."""

import pathlib

from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from tfx_kmeans.kubeflow import ir

# the container's entrypoint on an open-source backend
COMMAND = ('python', '-m', 'tfx_kmeans.kubeflow.run_executor')


def compile(pipeline, output, image, *, vertex=False):
    """Compiles `pipeline` into the file `output` and returns the PipelineSpec as a dict."""
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=image,
            default_commands=None if vertex else list(COMMAND),
            use_pipeline_spec_2_1=True,
        )
    )
    job = runner.run(pipeline, write_out=False)
    spec = job['pipelineSpec']
    pathlib.Path(output).write_text(ir.to_json(job) if vertex else ir.to_yaml(spec))
    return spec
