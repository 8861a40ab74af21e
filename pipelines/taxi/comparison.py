"""What the clusters are worth: the AUC of the taxi model with them and without them."""

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from sklearn import metrics

from taxi import features
from taxi import model as model_lib


def train_and_evaluate(transform_graph, examples, with_clusters, seed, train_steps):
    """Trains the pipeline's model on ClusterTransform's output and evaluates it.

    Args:
        transform_graph: directory of ClusterTransform's transform graph.
        examples: directory of its transformed examples.
        with_clusters: whether the model sees the cluster features.
        seed: int.
        train_steps: batches to train on, as in the pipeline.

    Returns:
        Area under the ROC curve on the whole eval split, a float.
    """
    transform_output = tft.TFTransformOutput(transform_graph)
    tf.keras.utils.set_random_seed(seed)
    model = model_lib.build_model(transform_output, with_clusters)
    model_lib.train(model, f'{examples}/Split-train/*', transform_output, train_steps)
    evaluation = model_lib.batches(f'{examples}/Split-eval/*', transform_output, model)
    labels = np.concatenate([label.numpy() for _, label in evaluation])
    return float(metrics.roc_auc_score(labels, model.predict(evaluation, verbose=0)))


def evaluate_served(model, examples):
    """Evaluates an exported model on raw examples, as a server would run it.

    Args:
        model: directory of the SavedModel.
        examples: directory of the raw examples.

    Returns:
        Area under the ROC curve on the whole eval split, a float.
    """
    signatures = tf.saved_model.load(model).signatures
    files = tf.io.gfile.glob(f'{examples}/Split-eval/*')
    serialized = tf.stack(list(tf.data.TFRecordDataset(files, 'GZIP')))
    label = features.transformed_name(features.LABEL)
    labels = signatures['transform_features'](examples=serialized)[label]
    scores = signatures['serving_default'](examples=serialized)['big_tip']
    return float(metrics.roc_auc_score(labels, scores))
