"""graph.fit beside scikit-learn and faiss, as a node of a pipeline pays for it: `make bench`.

    .venv-bench/bin/python benchmarks/fit.py

A node makes one fit in a process that has made none, so each fit has a process of its own. Imports
and reading the rows are outside the clock; starting threads, tracing and compiling are inside. The
libraries take turns, and the best of the turns counts. A second fit in the process of the first
turn is the warm time. Shapes and rows are drawn from a seed, see drawn.py. There are two sides:

given: every library starts at the same rows of the data, with the same tolerance and most
    iterations. faiss knows no tolerance: it makes as many iterations as scikit-learn did.
default: each with its defaults, seeding and search included. The inertia is compared with the best
    of 10 runs of scikit-learn, which are timed once.

Peak memory is that of the first fit above the process with the rows in it.

Nothing else should run on the machine. With one other busy process on two cores scikit-learn took
12 times as long (0.08 and 1.0 s at 15,345 x 22, k = 121) and graph.fit 1.3 times, so that ratios
look better than they are. The first line of the summary says how busy other processes were.
"""

import argparse
import functools
import json
import math
import os
import sys
import tempfile
import time
import warnings

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore')

# what may be set for the sake of faiss's older OpenBLAS slows that of NumPy and scikit-learn
if '--fit' in sys.argv and 'faiss' not in sys.argv:
    os.environ.pop('OPENBLAS_CORETYPE', None)
    os.environ.pop('OPENBLAS_L2_SIZE', None)

import drawn
import numpy as np
import processes
import results

TOL, MAX_ITER = 1e-4, 300
OURS, SKLEARN, FAISS, BEST = 'tfx-kmeans', 'scikit-learn', 'faiss', 'scikit-learn, best of 10'
SIDES = {'given': (OURS, SKLEARN, FAISS), 'default': (OURS, SKLEARN, BEST)}


def main():
    """Parses the arguments, measures, writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=0, help='of the cases')
    parser.add_argument('--cases', type=int, default=24, help='how many to draw')
    parser.add_argument('--only', type=int, metavar='INDEX', help='the one case to measure')
    parser.add_argument('--sides', default='given,default', help='which to measure')
    parser.add_argument('--turns', type=int, default=2)
    parser.add_argument('--fit', nargs=4, metavar=('SIDE', 'LIBRARY', 'FOLDER', 'OPTIONS'))
    arguments = parser.parse_args()
    if arguments.fit:
        print(json.dumps(time_fit(*arguments.fit)))
        return
    sides = arguments.sides.split(',')
    cases = drawn.cases(arguments.seed, max(arguments.cases, (arguments.only or 0) + 1))
    for_file = arguments.only is None and set(sides) == set(SIDES)
    found = {side: [] for side in SIDES if side in sides}
    for case in cases if arguments.only is None else [cases[arguments.only]]:
        measure(case, arguments.turns, found)
        text = as_markdown(found, arguments.seed, arguments.turns)
        if for_file:
            # after each case: a run that is cut short leaves what it has
            results.write('graph.fit beside other libraries', text)
    print(text)


def measure(case, turns, found):
    """Times all libraries on a case, and appends what came of it to `found`, by side."""
    with tempfile.TemporaryDirectory() as folder:
        save(case, folder)
        for side, of_cases in found.items():
            fits = {library: [] for library in SIDES[side]}
            for turn in range(turns):
                for library, of_library in fits.items():
                    if library == BEST and turn:
                        continue
                    options = {'k': case.k, 'seed': case.seed, 'warm': not turn and library != BEST}
                    if library == FAISS:
                        options['n_iter'] = fits[SKLEARN][0]['n_iter']
                    fit = processes.outcome(
                        __file__, '--fit', side, library, folder, json.dumps(options)
                    )
                    of_library.append(fit)
                    print(
                        f'{case.number}: {case}; {side}, turn {turn + 1}: {library} '
                        f'{fit["cold"]:.2f} s, warm {fit["warm"] or math.nan:.2f} s, '
                        f'{fit["n_iter"]} iterations, inertia {fit["inertia"]:.6g}, '
                        f'{fit["megabytes"]:.0f} MB, {fit["others"]:.2f} s of other processes',
                        file=sys.stderr,
                        flush=True,
                    )
            best = {library: _best(of_library) for library, of_library in fits.items()}
            of_cases.append({'case': case, **best})


def save(case, folder):
    """Writes the rows of a case, and where a fit from given centroids starts."""
    rows = case.rows()
    np.save(f'{folder}/rows.npy', rows)
    np.save(f'{folder}/init.npy', case.some_rows(rows))


def _best(fits):
    cold = min(fit['cold'] for fit in fits)
    return {
        **fits[0],
        'cold': cold,
        'megabytes': max(fit['megabytes'] for fit in fits),
        # a machine that was busy in one turn alone has not made the best one slower
        'busy': min(fit['others'] / fit['cold'] for fit in fits),
    }


def time_fit(side, library, folder, options):
    """The first fit of this process, and a second one if it is asked for.

    Returns:
        dict: `cold` and `warm` (or None) in seconds, `others`, the processor seconds of other
        processes during the first fit, its `megabytes` above the process with the rows, its
        `inertia` and `n_iter`.
    """
    options = json.loads(options)
    fit = LIBRARIES[library]()
    rows = np.load(f'{folder}/rows.npy')
    init = np.load(f'{folder}/init.npy') if side == 'given' else None
    fit = functools.partial(fit, rows, options['k'], init, options['seed'], options.get('n_iter'))
    processes.forget_peak()
    base, others = processes.peak_megabytes(), processes.others_seconds()
    cold, (inertia, n_iter) = _seconds(fit)
    return {
        'cold': cold,
        'others': processes.others_seconds() - others,
        'megabytes': processes.peak_megabytes() - base,
        'warm': _seconds(fit)[0] if options['warm'] else None,
        'inertia': inertia,
        'n_iter': n_iter,
    }


def _seconds(fit):
    started = time.perf_counter()
    outcome = fit()
    return time.perf_counter() - started, outcome


def load_ours():
    """Imports; returns the fit of tfx_kmeans.graph."""
    from tfx_kmeans import graph

    def fit(rows, k, init, seed, _):
        given = {} if init is None else {'init': init, 'max_iter': MAX_ITER, 'tol': TOL}
        fitted = graph.fit(rows, k, seed=seed, **given)
        fitted.centroids.numpy()
        return float(fitted.inertia), int(fitted.n_iter)

    return fit


def load_sklearn(**runs):
    """Imports; returns the fit of sklearn.cluster.KMeans, whose algorithm is Lloyd's."""
    from sklearn import cluster

    def fit(rows, k, init, seed, _):
        given = {} if init is None else {'init': init, 'max_iter': MAX_ITER, 'tol': TOL}
        fitted = cluster.KMeans(k, random_state=seed, **given, **runs).fit(rows)
        return float(fitted.inertia_), int(fitted.n_iter_)

    return fit


def load_faiss():
    """Imports; returns the fit of faiss.Clustering on all rows."""
    import faiss

    def fit(rows, k, init, _, n_iter):
        d = rows.shape[1]
        clustering = faiss.Clustering(d, k)
        clustering.niter = n_iter
        clustering.max_points_per_centroid = len(rows)
        clustering.min_points_per_centroid = 1
        faiss.copy_array_to_vector(init.ravel(), clustering.centroids)
        clustering.train(rows, faiss.IndexFlatL2(d))
        last = clustering.iteration_stats.at(clustering.iteration_stats.size() - 1)
        return float(last.obj), n_iter

    return fit


LIBRARIES = {
    OURS: load_ours,
    SKLEARN: load_sklearn,
    FAISS: load_faiss,
    BEST: functools.partial(load_sklearn, n_init=10),
}


def as_markdown(found, seed, turns):
    """Summary and tables of all that was found."""
    packages = ('tensorflow', 'scikit-learn', 'faiss-cpu')
    busy = [
        case_found[library]['busy']
        for side, of_cases in found.items()
        for case_found in of_cases
        for library in SIDES[side]
    ]
    numbers = [
        ('processors that others kept busy', f'mean {np.mean(busy):.2f}, most {max(busy):.2f}'),
        *(line for side, of_cases in found.items() for line in SUMMARIES[side](of_cases)),
    ]
    text = (
        f'`make bench` on {results.machine(*packages)}, cases drawn from seed {seed}. Seconds of '
        'the first fit of a process, imports not counted and tracing and compiling counted, best '
        f'of {turns} turns; in brackets the iterations. *Warm* is a second fit in the same '
        'process. *MB* is the peak of the first fit above the process with the rows in it.\n\n'
        + results.table(['over all cases', ''], numbers)
    )
    for side, of_cases in found.items():
        text += f'\n{HEADINGS[side]}\n\n' + TABLES[side](of_cases)
    return text


HEADINGS = {
    'given': 'From given centroids, rows of the data, to the same tolerance (faiss: as many '
    'iterations as scikit-learn). The inertia is over that of scikit-learn.',
    'default': 'With defaults, seeding and search included. The inertia is over that of the best '
    'of 10 runs of scikit-learn, which are timed once.',
}


def given_table(of_cases):
    """A line for each fit from given centroids."""
    names = SIDES['given']
    return results.table(
        ['', 'rows', *names]
        + [f'warm: {name}' for name in names]
        + ['inertia']
        + [f'MB: {name}' for name in names],
        [
            [found['case'].number, found['case']]
            + [f'{found[name]["cold"]:.2f} ({found[name]["n_iter"]})' for name in names]
            + [f'{found[name]["warm"]:.2f}' for name in names]
            + [f'{found[OURS]["inertia"] / found[SKLEARN]["inertia"]:.5f}']
            + [f'{found[name]["megabytes"]:.0f}' for name in names]
            for found in of_cases
        ],
    )


def default_table(of_cases):
    """A line for each fit with defaults."""
    one_run = (OURS, SKLEARN)
    return results.table(
        ['', 'rows', *SIDES['default'], *(f'warm: {name}' for name in one_run)]
        + [f'inertia: {name}' for name in one_run]
        + [f'MB: {name}' for name in one_run],
        [
            [found['case'].number, found['case']]
            + [f'{found[name]["cold"]:.2f} ({found[name]["n_iter"]})' for name in one_run]
            + [f'{found[BEST]["cold"]:.2f}']
            + [f'{found[name]["warm"]:.2f}' for name in one_run]
            + [f'{found[name]["inertia"] / found[BEST]["inertia"]:.4f}' for name in one_run]
            + [f'{found[name]["megabytes"]:.0f}' for name in one_run]
            for found in of_cases
        ],
    )


def given_summary(of_cases):
    """Figures over all fits from given centroids, with what they are."""
    pairs = [
        (min(found[SKLEARN]['cold'], found[FAISS]['cold']), found[OURS]['cold'])
        for found in of_cases
    ]
    yield 'given: most seconds behind the fastest', f'{_most_behind(pairs):.2f}'
    yield 'given: its time over ours where it takes 1 s or more', _ratios(pairs, at_least=1)
    yield 'given: its time over ours in all cases', _ratios(pairs)
    yield 'given: most MB above scikit-learn', f'{_most_above(of_cases):.0f}'


def default_summary(of_cases):
    """Figures over all fits with defaults, with what they are."""
    once, best = (
        [(found[rival]['cold'], found[OURS]['cold']) for found in of_cases]
        for rival in (SKLEARN, BEST)
    )
    inertias = [found[OURS]['inertia'] / found[BEST]['inertia'] for found in of_cases]
    yield 'default: most seconds behind scikit-learn', f'{_most_behind(once):.2f}'
    yield 'default: its time over ours where it takes 1 s or more', _ratios(once, at_least=1)
    yield 'default: its time over ours in all cases', _ratios(once)
    yield 'default: time of its best of 10 over ours where 2 s or more', _ratios(best, at_least=2)
    yield (
        'default: inertia over that of its best of 10',
        f'mean {np.mean(inertias):.4f}, most {max(inertias):.4f}',
    )
    yield 'default: most MB above scikit-learn', f'{_most_above(of_cases):.0f}'


def _most_behind(pairs):
    return max(mine - theirs for theirs, mine in pairs)


def _most_above(of_cases):
    return max(found[OURS]['megabytes'] - found[SKLEARN]['megabytes'] for found in of_cases)


def _ratios(pairs, at_least=0.0):
    """Geometric mean, least and number of the ratios where a rival takes so many seconds."""
    ratios = [theirs / mine for theirs, mine in pairs if theirs >= at_least]
    if not ratios:
        return 'no such case'
    mean = math.exp(np.mean(np.log(ratios)))
    return f'geometric mean {mean:.2f}, least {min(ratios):.2f}, of {len(ratios)}'


TABLES = {'given': given_table, 'default': default_table}
SUMMARIES = {'given': given_summary, 'default': default_summary}

if __name__ == '__main__':
    main()
