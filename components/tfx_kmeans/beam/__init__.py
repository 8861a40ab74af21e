"""K-means over a PCollection of batches of rows, on any Beam runner."""
