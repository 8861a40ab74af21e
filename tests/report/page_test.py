import dataclasses
import html.parser
import re

import numpy as np
import pytest

from support import judged
from tfx_kmeans import Clustering, artifacts, report

SCRIPT = '<script>alert(1)</script>'
NAMES = [SCRIPT, '"quoted" & <b>', 'fare']
VOID = {'meta', 'link', 'br'}


class Page(html.parser.HTMLParser):
    """A page: that its elements are closed in order, and what is on it."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return '\n'.join(self.texts)

    def find(self, tag, class_=None):
        found = [attrs for name, attrs in self.elements if name == tag]
        return [attrs for attrs in found if class_ is None or attrs.get('class') == class_]


@pytest.fixture(scope='module')
def clustering():
    return judged.fit(NAMES, 4)[0]


@pytest.fixture(scope='module')
def evaluation(clustering):
    baseline, _ = judged.fit(NAMES, 3, seed=1)
    _, train = judged.fit(NAMES, 4)
    rows = judged.make_rows(3, 4, 800, seed=2, shift=0.3)
    return judged.judge(
        clustering, train, rows, baseline, min_silhouette=0.2, max_training_psi=1e-6
    )


@pytest.fixture(scope='module')
def page(clustering, evaluation):
    return Page(report.render(clustering, evaluation))


def test_names_from_the_data_are_text(page, clustering, evaluation):
    assert SCRIPT in page.texts
    assert '"quoted" & <b>' in page.texts
    assert not page.find('script')
    assert not page.find('b', class_='')
    odd = dataclasses.replace(clustering, output_prefix=f'"><img src=x onerror={SCRIPT}')
    hostile = dataclasses.replace(evaluation, baseline_uri=f'<img src=x>{SCRIPT}')
    shown = Page(report.render(odd, hostile))
    assert not shown.find('img')
    assert not shown.find('script')
    assert f'<img src=x>{SCRIPT}' in shown.text


def test_nothing_is_loaded_from_elsewhere(page, clustering, evaluation):
    for tag, attributes in page.elements:
        assert tag not in ('script', 'iframe', 'object', 'embed', 'img', 'base', 'form', 'use')
        assert not {'src', 'srcset', 'xlink:href', 'action'} & set(attributes)
        assert attributes.get('href', 'data:,') == 'data:,'
        assert not [name for name in attributes if name.startswith('on')]
    assert not re.search(r'url\(|@import|https?:', report.render(clustering, evaluation))
    (policy,) = [a['content'] for a in page.find('meta') if a.get('http-equiv')]
    assert policy.startswith("default-src 'none'")


def test_every_part_of_an_evaluation_is_there(page):
    headings = {'Thresholds', 'The clustering', 'Drift', 'Profiles', 'All clusters', 'One by one'}
    figures = {
        'Map', 'Sizes', 'Distance to the own centroid', 'Convergence', 'Against the training rows',
        'Against the rows of the baseline', 'Least kept ids', 'Where rows went',
    }  # fmt: skip
    assert headings | figures <= set(page.texts)
    assert len(page.find('details')) == 4


def test_thresholds_say_which_failed_and_by_how_much(page, evaluation):
    silhouette, psi = sorted(evaluation.thresholds, key=lambda threshold: threshold.name)[::-1]
    assert (silhouette.name, psi.name) == ('min_silhouette', 'max_training_psi')
    text = page.text.replace('\n', '')
    assert 'not blessed: 1 of 2 thresholds failed' in text
    assert re.search('min_silhouette0.2[^m]*passed', text)
    missed = re.search('max_training_psi1e.06.*?FAILED by ([0-9.]+)', text).group(1)
    assert float(missed) == pytest.approx(psi.missed_by, rel=1e-3)


def test_the_choice_of_the_number_of_clusters_is_marked(clustering):
    table = [
        artifacts.Candidate(1, 900.0, 2, True, None, None, None),
        artifacts.Candidate(4, 500.0, 3, True, 0.7123, 0.25, 812.5),
        artifacts.Candidate(5, 450.0, 3, True, 0.4567, 0.75, 700.0),
    ]
    chosen = dataclasses.replace(
        clustering, selection=artifacts.Selection('silhouette', tuple(table))
    )
    page = Page(report.render(chosen))
    assert 'Choice of the number of clusters' in page.texts
    assert '3 were tried; 4 is the best by silhouette.' in page.text
    assert re.search('4 \N{LEFTWARDS ARROW} chosen\n+500\n+0.7123\n+0.25\n+812.5\n', page.text)
    (ring,) = page.find('circle', 'chosen')
    dots = page.find('circle', 'dot')[-2:]  # one cluster has no silhouette
    assert (ring['cx'], ring['cy']) == (dots[0]['cx'], dots[0]['cy'])


def test_what_became_of_the_clusters_before_is_told(clustering):
    continuation = artifacts.Continuation(
        3, (0, 1, None, 2), (0.5, 0.25, None, 0.125), (0.1, 0.0, 1.0, 0.0), 0.0875
    )
    page = Page(report.render(dataclasses.replace(clustering, continuation=continuation)))
    assert 'Since the fit before' in page.texts
    assert page.texts.index('new') < page.texts.index('0.125')
    assert '8.8\N{NARROW NO-BREAK SPACE}% of the training rows had another id' in page.text


def test_a_clustering_alone_is_shown_by_what_is_known(clustering):
    page = Page(report.render(clustering))
    assert {'Map', 'Sizes', 'Convergence', 'Profiles', 'One by one'} <= set(page.texts)
    assert not {'Drift', 'Thresholds', 'Distance to the own centroid'} & set(page.texts)


def test_centroids_from_elsewhere_are_shown_too():
    page = Page(report.render(Clustering.from_array([[1.0, 2.0]], ['a', 'b'])))
    assert '1 clusters ' not in page.texts
    assert '1 cluster ' in page.texts
    assert 'Map' in page.texts
    assert not {'Sizes', 'Convergence', 'All clusters'} & set(page.texts)


def test_every_row_of_the_sample_is_on_the_map(page, evaluation):
    drawn = ''.join(attributes['d'] for attributes in page.find('path', 'spots'))
    assert drawn.count('M') == len(evaluation.sample_ids)


def test_rows_nearest_to_a_centroid_are_shown(page, evaluation):
    fare = evaluation.example_points[:, 0, 2]
    assert all(f'{value:.3g}'.replace('-', '\N{MINUS SIGN}') in page.texts for value in fare)


def test_many_clusters_are_closed_cards_without_lines_to_the_baseline():
    names = [f'c{i}' for i in range(30)]
    clustering, train = judged.fit(names, 60, rows=1500)
    page = Page(report.render(clustering, judged.judge(clustering, train, train[:200], clustering)))
    cards = page.find('details')
    assert len(cards) == 60
    assert not any('open' in card for card in cards)
    assert not page.find('g', 'before')
    assert len(page.find('svg', 'strip')) == 24
    assert any('The 6 columns that differ least are left out.' in text for text in page.texts)


def test_clusters_without_rows_and_splits_without_any_are_shown(clustering):
    nowhere = np.full((20, 3), np.nan, np.float32)
    one = np.repeat(clustering.points[:1].astype(np.float32), 20, axis=0)
    for train, rows in ((one, one), (one, nowhere)):
        page = Page(report.render(clustering, judged.judge(clustering, train, rows)))
        assert 'nan' not in page.text.lower()


def test_an_evaluation_of_other_clusters_is_refused(evaluation):
    other = Clustering.from_array([[1.0, 2.0]], ['a', 'b'])
    with pytest.raises(
        ValueError, match='evaluation is of 4 clusters of 3 columns, and clustering'
    ):
        report.render(other, evaluation)


def test_the_page_is_written_where_it_is_told(clustering, tmp_path):
    path = tmp_path / 'new' / 'report.html'
    report.write(str(path), clustering)
    assert path.read_text(encoding='utf-8') == report.render(clustering)
