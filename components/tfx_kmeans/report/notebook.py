"""The report in a notebook: `context.show(channel)` of TFX's InteractiveContext displays it."""

import html

from tfx.orchestration.experimental.interactive import visualizations

from tfx_kmeans import artifacts, evaluation
from tfx_kmeans.report import page

_HEIGHT = 720  # CSS pixels


class CentroidsVisualization(visualizations.ArtifactVisualization):
    """Shows a Centroids artifact."""

    ARTIFACT_TYPE = artifacts.Centroids

    def display(self, artifact):
        """Displays the report on the artifact in the notebook."""
        _display(page.render(artifacts.Clustering.read(artifact.uri)))


class ClusterEvaluationVisualization(visualizations.ArtifactVisualization):
    """Shows a ClusterEvaluation artifact by the report that lies in it."""

    ARTIFACT_TYPE = evaluation.ClusterEvaluation

    def display(self, artifact):
        """Displays the report of the artifact in the notebook."""
        _display(page.read(artifact.uri))


def register():
    """Makes both known to TFX; importing the components of tfx_kmeans does it."""
    registry = visualizations.get_registry()
    for visualization in (CentroidsVisualization, ClusterEvaluationVisualization):
        registry.register(visualization)


def _display(document):
    """Displays a HTML document in a frame, where it and the notebook leave each other alone."""
    # of the notebook, and needed nowhere else
    from IPython.display import HTML, display

    frame = f'<iframe sandbox srcdoc="{html.escape(document)}" width="100%" height="{_HEIGHT}"'
    display(HTML(f'<div>{frame} style="border:0"></iframe></div>'))
