"""What the runner's user interface and metrics show of a fit, in the namespace 'tfx_kmeans'.

Counters: `rows`, `batches`, `rows_left_out`, `passes`. Distributions: `rows_per_batch`,
`bundle_milliseconds` (placing the rows of a bundle) and `pass_milliseconds`. A bundle that the
runner repeats may count twice.
"""

from apache_beam import metrics

NAMESPACE = 'tfx_kmeans'


def counter(name):
    """Returns the counter called `name`."""
    return metrics.Metrics.counter(NAMESPACE, name)


def distribution(name):
    """Returns the distribution called `name`."""
    return metrics.Metrics.distribution(NAMESPACE, name)


def query(result):
    """Reads the metrics of a pipeline that has run.

    Args:
        result: apache_beam.runners.runner.PipelineResult.

    Returns:
        Dict of what was counted, int, and of DistributionResults, by name; those of several steps
        are under the one name together.
    """
    found = result.metrics().query(metrics.MetricsFilter().with_namespace(NAMESPACE))
    values = {}
    for measured in found['counters'] + found['distributions']:
        name, value = measured.key.metric.name, measured.result
        if value is not None:
            values[name] = _add(values[name], value) if name in values else value
    return values


def _add(one, other):
    if isinstance(one, int):
        return one + other
    data = one.data.combine(other.data)
    return type(one)(data)
