"""What was told of a tensor in a graph, found again on those that are made of it."""

import tensorflow as tf

# ops that give what they get
_SAME_VALUE = {'EnsureShape', 'Identity', 'PreventGradient', 'Snapshot', 'StopGradient'}
_TOLD = '_kmeans_space'  # a Python attribute of the tensor


def tell(tensor, space):
    """Keeps a placing.Space with a tensor of centroids."""
    setattr(tensor, _TOLD, space)


@tf.autograph.experimental.do_not_convert
def of_value(tensor):
    """Returns the placing.Space of a tensor, or of the one whose value it has; or None."""
    while not hasattr(tensor, _TOLD):
        sources = _sources(tensor)
        if len(sources) != 1 or tensor.op.type not in {*_SAME_VALUE, 'Placeholder'}:
            return None
        (tensor,) = sources
    return getattr(tensor, _TOLD)


@tf.autograph.experimental.do_not_convert
def of_parts(tensor):
    """Returns the Spaces of all tensors that a tensor is, or may be, computed from: a list."""
    spaces, seen, waiting = [], set(), [tensor]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if hasattr(part, _TOLD):
            spaces.append(getattr(part, _TOLD))
        elif sources := _sources(part):
            waiting += sources
        elif tf.is_symbolic_tensor(part) and part.op.type == 'Placeholder':
            # an argument of an inner function: of what its caller gives nothing is known in there
            spaces += _around(part.graph)
    return spaces


def _sources(tensor):
    """The tensors that one is computed from; for one taken from an outer graph, the one there."""
    if not tf.is_symbolic_tensor(tensor):
        return []
    captured = [outer for outer, inner in getattr(tensor.graph, 'captures', ()) if inner is tensor]
    return captured or list(tensor.op.inputs)


def _around(graph):
    """The Spaces of all tensors in the graphs around one."""
    spaces = []
    while graph := getattr(graph, 'outer_graph', None):
        tensors = (tensor for operation in graph.get_operations() for tensor in operation.outputs)
        spaces += [getattr(tensor, _TOLD) for tensor in tensors if hasattr(tensor, _TOLD)]
    return spaces
