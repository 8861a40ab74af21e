"""What the workers have to have, told before anything else fails for want of it."""

import pkgutil

import apache_beam as beam

# part of the message that a worker's failure comes with, on any runner
_IMPORT = "import; what is missing goes into the workers' image, or --extra_package"


class RequireModules(beam.PTransform):
    """Imports modules on a worker, so that a job without them fails at once and names them.

    A function that a worker cannot load for want of its module makes some runners wait instead:
    Flink for three minutes, after which it reports a timeout. This step needs nothing but Beam.

    >>> import apache_beam as beam
    >>> from tfx_kmeans.beam import RequireModules
    >>> with beam.Pipeline() as pipeline:
    ...     _ = pipeline | RequireModules('tfx_kmeans', 'json')
    """

    def __init__(self, *modules):
        """Requires modules by their dotted names."""
        super().__init__()
        self._modules = modules

    def expand(self, pipeline):
        """From a pipeline to a PCollection of the names of the modules, once they are imported."""
        # a function of the standard library is one that every worker can load
        names = [f'{module}:__name__' for module in self._modules]
        return pipeline | beam.Create(names) | _IMPORT >> beam.Map(pkgutil.resolve_name)
