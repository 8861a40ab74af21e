import pathlib

import numpy as np
import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector import projector_plugin
from werkzeug import test as werkzeug_test
from werkzeug import wrappers

from tfx_kmeans import Clustering
from tfx_kmeans.kmeans import projector


class Projector:
    """What TensorBoard's projector serves of a directory of logs."""

    def __init__(self, directory):
        multiplexer = plugin_event_multiplexer.EventMultiplexer()
        multiplexer.AddRunsFromDirectory(str(directory))
        multiplexer.Reload()
        provider = data_provider.MultiplexerDataProvider(multiplexer, str(directory))
        context = base_plugin.TBContext(
            logdir=str(directory), data_provider=provider, multiplexer=multiplexer
        )
        self._apps = projector_plugin.ProjectorPlugin(context).get_plugin_apps()

    def get(self, route, **query):
        client = werkzeug_test.Client(self._apps[route], wrappers.Response)
        response = client.get(route, query_string=query)
        assert response.status_code == 200, response.get_data()
        return response

    def tensor(self, name):
        content = self.get('/tensor', run='.', name=name).get_data()
        return np.frombuffer(content, np.float32)

    def metadata(self, name):
        text = self.get('/metadata', run='.', name=name).get_data(as_text=True)
        return [line.split('\t') for line in text.splitlines()]


def test_the_projector_reads_what_a_fit_left(fitted):
    clustering = Clustering.read(fitted['centroids'].uri)
    served = Projector(fitted['model_run'].uri)
    assert served.get('/runs').get_json() == ['.']
    (embedding,) = served.get('/info', run='.').get_json()['embeddings']
    assert embedding['tensorShape'] == [4, 2]
    tensor = served.tensor(embedding['tensorName'])
    np.testing.assert_array_equal(tensor, clustering.centroids.ravel())
    header, *rows = served.metadata(embedding['tensorName'])
    assert header == ['cluster', 'weight', 'share', 'x', 'y']
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3]
    assert [float(row[1]) for row in rows] == list(clustering.cluster_weights)
    assert sum(float(row[2]) for row in rows) == pytest.approx(1)


def test_names_cannot_break_the_table(tmp_path):
    clustering = Clustering.from_array(
        [[1.0], [2.0]], ['a\tb\nc'], cluster_weights=[1, 1], output_prefix='<b>'
    )
    projector.write(str(tmp_path), clustering)
    lines = pathlib.Path(tmp_path, 'clusters.tsv').read_text().splitlines()
    assert lines == ['cluster\tweight\tshare\ta b c', '0\t1.0\t0.5\t1.0', '1\t1.0\t0.5\t2.0']
