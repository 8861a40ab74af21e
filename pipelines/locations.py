"""Where things lie."""

import os
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# where everything is written; TFX_KMEANS_OUTPUT names another place
OUTPUT = pathlib.Path(os.environ.get('TFX_KMEANS_OUTPUT', REPOSITORY / 'output')).resolve()
SCHEMA = REPOSITORY / 'schemas' / 'taxi' / 'schema.pbtxt'
