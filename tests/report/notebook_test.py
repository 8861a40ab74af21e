import html
import re

import pytest
from tfx import types

from support.evaluating import run_evaluator
from tfx_kmeans import ClusterEvaluator, Clustering, KMeans, report

pytest.importorskip('nbformat', reason='TFX 1.21 comes without Jupyter, which notebooks need')

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils import capture
from tfx.orchestration.experimental.interactive import interactive_context
from traitlets.config import Config


@pytest.fixture(scope='module')
def shell(tmp_path_factory):
    """A shell of IPython with a TFX context, as a notebook has."""
    shell = InteractiveShell.instance(config=Config({'HistoryManager': {'enabled': False}}))
    shell.push(
        {
            'context': interactive_context.InteractiveContext(
                pipeline_root=str(tmp_path_factory.mktemp('notebook'))
            )
        }
    )
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture(scope='module')
def evaluated(transformed, fitted, tmp_path_factory):
    """The Evaluation of `fitted`, and its artifacts."""
    return run_evaluator(
        tmp_path_factory.mktemp('evaluated'), transformed, fitted['centroids'], min_silhouette=0.1
    )


def show(shell, artifact):
    """The document in the frame that `context.show` displays of a channel."""
    shell.push({'channel': types.Channel(type=type(artifact)).set_artifacts([artifact])})
    with capture.capture_output() as captured:
        shell.run_cell('context.show(channel)').raise_error()
    heading, frame = (output.data['text/html'] for output in captured.outputs)
    assert artifact.uri in heading
    (document,) = re.findall('<iframe sandbox srcdoc="([^"]*)"', frame)
    return html.unescape(document)


def test_centroids_are_shown_by_their_report(shell, fitted):
    assert KMeans  # importing the component makes its output known to TFX
    document = show(shell, fitted['centroids'])
    assert document.startswith('<!doctype html>')
    assert '<h1>4 clusters ' in document
    assert '<strong>Convergence</strong>' in document


def test_an_evaluation_is_shown_by_the_report_in_it(shell, evaluated, fitted):
    assert ClusterEvaluator
    judged, made = evaluated
    document = show(shell, made['evaluation'])
    assert 'blessed: 1 threshold passed' in document
    assert document == report.render(Clustering.read(fitted['centroids'].uri), judged)
