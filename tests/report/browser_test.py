"""The report in a real browser; `make test-report` installs one."""

import pytest

from support import chromium, judged
from tfx_kmeans import report

pytestmark = pytest.mark.skipif(not chromium.PROGRAM, reason='there is no Chromium')

NAMES = ['pickup_latitude', 'trip_miles', '<script>alert(1)</script>', 'n' * 80]
PHONE = 390  # CSS pixels


@pytest.fixture(scope='module')
def tab():
    with chromium.browser() as tab:
        yield tab


@pytest.fixture(scope='module', params=[2, 200], ids=lambda count: f'{count} clusters')
def page(request, tmp_path_factory):
    """The path of a report."""
    clustering, train = judged.fit(NAMES, request.param, rows=4000)
    baseline, _ = judged.fit(NAMES, request.param, rows=4000, seed=1)
    rows = judged.make_rows(len(NAMES), request.param, 1000, seed=2)
    evaluation = judged.judge(clustering, train, rows, baseline, min_silhouette=0.9)
    path = tmp_path_factory.mktemp('report') / 'report.html'
    report.write(str(path), clustering, evaluation)
    return path


def test_the_browser_has_nothing_to_load_and_nothing_to_complain_of(tab, page):
    tab.open(page.as_uri())
    assert tab.requests == [page.as_uri()]
    assert tab.complaints == []


def test_the_requests_and_complaints_of_a_page_would_be_seen(tab, tmp_path):
    path = tmp_path / 'page.html'
    path.write_text('<img src="picture.png"><script>console.log(1); undefined.x</script>')
    tab.open(path.as_uri())
    assert tab.requests[1:] == [(tmp_path / 'picture.png').as_uri()]
    assert len(tab.complaints) == 3  # the log, the exception, the picture that is not there


def test_a_feature_named_like_a_script_is_text(tab, page):
    tab.open(page.as_uri())
    assert '<script>alert(1)</script>' in tab.evaluate('document.body.innerText')
    assert tab.evaluate('document.scripts.length') == 0


@pytest.mark.parametrize('width', [PHONE, 1280])
def test_the_page_is_no_wider_than_the_window(tab, page, width):
    tab.open(page.as_uri(), width=width)
    assert tab.evaluate('document.documentElement.scrollWidth') == width


def test_cards_show_all_their_columns_on_a_desk(tab, page):
    tab.open(page.as_uri())
    cards = '[...document.querySelectorAll(".card .scroll")]'
    assert tab.evaluate(f'{cards}.filter(e => e.scrollWidth > e.clientWidth).length') == 0


def test_text_on_a_phone_is_large_enough_to_read(tab, page):
    tab.open(page.as_uri(), width=PHONE)
    smallest = tab.evaluate(
        'Math.min(...[...document.querySelectorAll(".chart")].map('
        'c => 12.5 * c.getBoundingClientRect().width / c.viewBox.baseVal.width))'
    )
    assert smallest > 9  # CSS pixels


@pytest.mark.parametrize(('dark', 'lightness'), [(False, 'light'), (True, 'dark')])
def test_the_page_is_as_light_as_the_reader_likes_it(tab, page, dark, lightness):
    tab.open(page.as_uri(), dark=dark)
    colour = tab.evaluate('getComputedStyle(document.body).backgroundColor')
    brightness = sum(int(part) for part in colour[4:-1].split(',')) / 3
    assert {'light': brightness > 200, 'dark': brightness < 60}[lightness]


def test_closed_cards_are_open_on_paper(tab, page):
    tab.open(page.as_uri())
    tab.call('Emulation.setEmulatedMedia', media='print')
    heights = 'Math.min(...[...document.querySelectorAll("details .profile")].map('
    assert tab.evaluate(f'{heights}e => e.getBoundingClientRect().height))') > 10
    tab.call('Emulation.setEmulatedMedia', media='screen')
