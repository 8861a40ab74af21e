"""What the schema of transformed features says of their values."""

import tensorflow as tf
from tensorflow_transform import schema_inference


def set_domain(feature, smallest, largest):
    """Marks an int64 feature, dense or sparse, as categorical with values in [smallest, largest].

    Eagerly, where no schema is made, this does nothing.
    """
    if tf.executing_eagerly():
        return
    values = feature.values if isinstance(feature, tf.SparseTensor) else feature
    schema_inference.set_tensor_schema_override(
        values, tf.constant(smallest, tf.int64), tf.constant(largest, tf.int64)
    )
