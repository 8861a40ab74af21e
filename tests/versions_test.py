import subprocess
import sys

import pytest

from tfx_kmeans import versions
from tfx_kmeans.errors import UnsupportedVersionsError


@pytest.mark.parametrize('beam', ['2.63.0', '2.77.0', '3.0.0', '2.46.0'])
def test_beam_that_breaks_tfx_1_16_is_refused_with_both_versions_and_the_pin(beam):
    with pytest.raises(UnsupportedVersionsError) as refused:
        versions.check('1.16.0', beam)
    for part in ('TFX 1.16.0', f'Apache Beam {beam}', "pip install 'apache-beam>=2.47,<2.63'"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ('tfx', 'beam'), [('1.16.0', '2.62.0'), ('1.16.1', '2.47.0'), ('1.21.0', '2.77.0')]
)
def test_pairs_that_work_are_accepted(tfx, beam):
    versions.check(tfx, beam)


def test_installed_pair_is_accepted():
    versions.check_installed()


@pytest.mark.parametrize('component', ['kmeans', 'cluster_transform'])
def test_components_refuse_a_bad_pair_before_they_load_anything(tmp_path, component):
    for name, version in (('tfx', '1.16.0'), ('apache_beam', '2.63.0')):
        installed = tmp_path / f'{name}-{version}.dist-info'
        installed.mkdir()
        (installed / 'METADATA').write_text(f'Name: {name}\nVersion: {version}\n')
    code = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        f'try: import tfx_kmeans.{component}.component\n'
        'except ImportError as error: print(error, {"tfx", "tensorflow"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'TFX 1.16.0 does not work with Apache Beam 2.63.0' in done.stdout
    assert done.stdout.strip().endswith('set()')


@pytest.mark.parametrize(
    ('tfx', 'requirement'), [('1.16.0', 'kfp==2.5.0'), ('1.21.0', 'kfp'), (None, 'kfp')]
)
def test_the_kfp_sdk_is_one_that_goes_with_tfx(monkeypatch, tfx, requirement):
    monkeypatch.setattr(versions, '_installed', {'tfx': tfx}.get)
    assert versions.kfp_requirement() == requirement
