"""The command line `tfx-kmeans`."""
