from tfx_kmeans.report.markup import Markup, element, join


def test_text_is_escaped_wherever_it_stands():
    nasty = '"><script>alert(1)</script>&'
    made = element('b', nasty, [nasty], title=nasty)
    assert '<script' not in made
    assert made.count('&lt;script&gt;') == 3
    assert made.count('&quot;') == 3


def test_elements_go_into_others_as_they_are():
    inner = element('i', 'x')
    assert element('p', inner, None, [inner, 1]) == '<p><i>x</i><i>x</i>1</p>'
    assert isinstance(join(inner, '<'), Markup)
    assert join(inner, '<') == '<i>x</i>&lt;'


def test_what_is_put_together_with_text_is_text_again():
    assert element('p', element('i') + '<') == '<p>&lt;i&gt;&lt;/i&gt;&lt;</p>'


def test_attributes_are_written_as_a_drawing_needs_them():
    made = element('rect', x=1.0, y=2.345678, stroke_width=3, class_='a', open=None, viewBox='0')
    assert made == '<rect x="1" y="2.35" stroke-width="3" class="a" viewBox="0"></rect>'


def test_some_elements_have_no_end():
    assert element('meta', charset='utf-8') == '<meta charset="utf-8">'
