"""`tfx-kmeans report`: a clustering, and how it was judged, as a HTML file."""

from tfx_kmeans import artifacts, evaluation, report
from tfx_kmeans.cli import main


def run(options):
    """Writes the report to `options.output` and prints where it is; returns the exit code."""
    clustering = artifacts.Clustering.read(options.uri)
    judged = evaluation.Evaluation.read(options.evaluation) if options.evaluation else None
    report.write(options.output, clustering, judged)
    print(options.output)
    return main.DONE
