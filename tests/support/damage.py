"""Payloads, and what may happen to their bytes."""

import dataclasses

import numpy as np

from support import evaluations
from tfx_kmeans import Clustering, Evaluation, artifacts, errors


def clustering(seed=0):
    """A Clustering in which every field is given."""
    generator = np.random.default_rng(seed)
    return artifacts.Clustering(
        centroids=generator.normal(size=(6, 3)).astype(np.float32),
        feature_names=('a', 'b'),
        feature_widths=(1, 2),
        cluster_weights=tuple(generator.uniform(1, 9, 6).tolist()),
        inertia=float(generator.uniform(1, 9)),
        n_iter=4,
        seed=seed,
        standardization=artifacts.Standardization((0.5, 1.25, 2.0), (1.5, 2.0, 3.75)),
        eval_weight=4.5,
        eval_inertia=3.5,
        inertia_history=(9.5, 5.25),
        selection=artifacts.Selection(
            'elbow', (artifacts.Candidate(6, 5.5, 4, True, 0.5, 0.25, 8.5),)
        ),
        continuation=artifacts.Continuation(
            3, (0, None, 1, 2, None, None), (0.5, None, 0.25, 0.125, None, None), (0.25,) * 6, 0.25
        ),
        fit_missing='drop',
    )


def evaluation(seed=0):
    """An Evaluation with a baseline, of three clusters in two columns."""
    generator = np.random.default_rng(seed)
    return evaluations.make(
        sample_points=generator.normal(size=(6, 2)).astype(np.float32),
        clustering_fingerprint=clustering().fingerprint,
    )


# name: (how to make one, what reads it, its error, its files)
PAYLOADS = {
    'Centroids': (
        clustering,
        Clustering.read,
        errors.CentroidsError,
        ('clustering.json', 'centroids.npy'),
    ),
    'ClusterEvaluation': (
        evaluation,
        Evaluation.read,
        errors.EvaluationError,
        ('evaluation.json', 'evaluation.npz'),
    ),
}


def same(one, other):
    """Whether two Clusterings or Evaluations are equal in every field, to the last bit."""
    for field in dataclasses.fields(one):
        value, expected = getattr(one, field.name), getattr(other, field.name)
        if isinstance(expected, np.ndarray):
            alike = value.dtype == expected.dtype and value.shape == expected.shape
            if not alike or value.tobytes() != expected.tobytes():
                return False
        elif repr(value) != repr(expected):
            return False
    return True


def _bit(content, generator, place):
    content[place] ^= 1 << int(generator.integers(8))


def _byte(content, generator, place):
    content[place] = int(generator.integers(256))


def _character(content, generator, place):
    characters = b'0123456789.,-+eE[]{}:"\'tfn \n\\'
    content[place] = characters[generator.integers(len(characters))]


def _cut(content, generator, place):
    del content[place:]


def _remove(content, generator, place):
    del content[place : place + int(generator.integers(1, 9))]


def _insert(content, generator, place):
    content[place:place] = generator.bytes(int(generator.integers(1, 9)))


def _blank(content, generator, place):
    end = min(len(content), place + 64)
    content[place:end] = bytes(end - place)


def _repeat(content, generator, place):
    content[place:place] = content[place : place + int(generator.integers(1, 65))]


def _append(content, generator, place):
    content += generator.bytes(int(generator.integers(1, 65)))


KINDS = {
    kind.__name__[1:]: kind
    for kind in (_bit, _byte, _character, _cut, _remove, _insert, _blank, _repeat, _append)
}


def mutated(content, kind, generator):
    """Returns `content`, bytes, with damage of a kind at a random place."""
    damaged = bytearray(content)
    KINDS[kind](damaged, generator, int(generator.integers(len(content))))
    return bytes(damaged)


def survey(directory, payload, file, kind, seed, times):
    """Damages a file again and again, and reads the payload each time.

    Args:
        directory: pathlib.Path to write to.
        payload: one of PAYLOADS.
        file: str, one of its files.
        kind: one of KINDS.
        seed: int.
        times: int, how often.

    Returns:
        How often the payload was refused, and how often the damage had changed nothing.

    Raises:
        AssertionError: a damaged payload was read as another, or raised anything but its error.
    """
    make, read, error, _ = PAYLOADS[payload]
    generator = np.random.default_rng(seed)
    whole = make()
    whole.write(str(directory))
    content = (directory / file).read_bytes()
    refused = harmless = 0
    for number in range(times):
        damaged = mutated(content, kind, generator)
        (directory / file).write_bytes(damaged)
        try:
            found = read(str(directory))
        except error:
            refused += 1
            continue
        except Exception as unexpected:
            raise AssertionError(f'{type(unexpected).__name__} at {number}: {damaged!r}') from None
        assert same(found, whole), f'read as another at {number}: {damaged!r}'
        harmless += 1
    return refused, harmless
