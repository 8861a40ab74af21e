"""The page: one HTML file that needs nothing from elsewhere."""

import os
import pathlib

import tfx_kmeans
from tfx_kmeans import evaluation as evaluation_lib
from tfx_kmeans import files
from tfx_kmeans.report import figures, overview, profiles, shifts
from tfx_kmeans.report.markup import Markup, element, join
from tfx_kmeans.report.numbers import counted

_STYLE = pathlib.Path(__file__).with_name('style.css')
# whatever might slip into the page, a browser loads and runs nothing of it
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(clustering, evaluation=None):
    """Shows a clustering, and how it was judged, as a page.

    >>> from tfx_kmeans import Clustering, report
    >>> page = report.render(Clustering.from_array([[0.0, 1.0], [2.0, 3.0]], ['a', 'b']))
    >>> page[:15]
    '<!doctype html>'

    Args:
        clustering: artifacts.Clustering.
        evaluation: evaluation.Evaluation of it; None shows what is known without.

    Returns:
        str, a HTML document without scripts, that loads nothing and in which all that comes from
        the data is escaped.

    Raises:
        ValueError: the evaluation is of another clustering.
    """
    if evaluation:
        evaluation.check_is_of(clustering)
    head = element(
        'head',
        element('meta', charset='utf-8'),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('meta', http_equiv='Content-Security-Policy', content=_POLICY),
        element('link', rel='icon', href='data:,'),
        element(
            'title', f'{counted(clustering.n_clusters, "cluster")}: {clustering.output_prefix}'
        ),
        element('style', Markup(_STYLE.read_text(encoding='utf-8'))),
    )
    body = element(
        'body',
        overview.header(clustering, evaluation),
        overview.thresholds(evaluation),
        figures.figures(clustering, evaluation),
        shifts.shifts(clustering, evaluation),
        profiles.profiles(clustering, evaluation),
        element('footer', f'tfx-kmeans {tfx_kmeans.__version__}'),
    )
    return join(Markup('<!doctype html>\n'), element('html', head, body, lang='en'))


def write(path, clustering, evaluation=None):
    """Writes what `render` gives to the file at `path`, local or remote.

    Args:
        path: str.
        clustering: artifacts.Clustering.
        evaluation: evaluation.Evaluation of it, or None.

    Raises:
        ValueError: see `render`.
    """
    page = render(clustering, evaluation)
    files.write(path, page.encode('utf-8', errors='replace'))


def read(uri):
    """Returns the report in a ClusterEvaluation artifact at `uri`, as `render` gave it: str."""
    return files.read(os.path.join(uri, evaluation_lib.REPORT_FILE)).decode('utf-8')
