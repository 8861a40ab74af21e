"""Conditions of tasks: the part of the Common Expression Language (CEL) that TFX compiles to.

Comparisons, `!`, `&&`, `||` and `+` over numbers, strings, and fields of the executor's input, such
as `inputs.artifacts['model'].artifacts[0].metadata['auc'] > 0.9`.
"""

import ast
import operator
import re

_COMPARISONS = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# a string, which stays as it is, or an operator that Python spells otherwise
_TOKEN = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(&&)|(\|\|)|(!(?!=))""")
_PYTHON = (None, ' and ', ' or ', ' not ')
_CONSTANTS = {'true': True, 'false': False, 'null': None}


def holds(condition, executor_input):
    """Evaluates a condition.

    Args:
        condition: CEL expression, str.
        executor_input: the ExecutorInput as a dict, under the names of the proto's fields.

    Returns:
        bool.

    Raises:
        ValueError: the backend's evaluation would fail: a key is not there, types do not compare,
            the result is no bool; or the expression is of another kind than TFX writes.
    """
    python = _TOKEN.sub(lambda found: found[1] or _PYTHON[found.lastindex - 1], condition)
    try:
        value = _evaluate(ast.parse(python.strip(), mode='eval').body, executor_input)
    except (SyntaxError, LookupError, TypeError) as error:
        raise ValueError(f'condition {condition!r}: {_explain(error)}') from error
    if not isinstance(value, bool):
        raise ValueError(f'condition {condition!r} gives {value!r}, not true or false')
    return value


def _evaluate(node, names):
    def value(child):
        return _evaluate(child, names)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name(id=name):
            return _CONSTANTS[name] if name in _CONSTANTS else names[name]
        case ast.Attribute():
            # an unset field of a message is empty
            return value(node.value).get(node.attr, {})
        case ast.Subscript():
            return value(node.value)[value(node.slice)]
        case ast.BoolOp(op=ast.And()):
            return all(_boolean(value(child)) for child in node.values)
        case ast.BoolOp():
            return any(_boolean(value(child)) for child in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _boolean(value(node.operand))
        case ast.UnaryOp(op=ast.USub()):
            return -value(node.operand)
        case ast.BinOp(op=ast.Add()):
            left, right = value(node.left), value(node.right)
            _check_same_type(left, right)
            return left + right
        case ast.Compare(ops=[comparison], comparators=[right]) if type(comparison) in _COMPARISONS:
            left, right = value(node.left), value(right)
            _check_same_type(left, right)
            return _COMPARISONS[type(comparison)](left, right)
    raise TypeError(f'{ast.unparse(node)} is not supported')


def _boolean(value):
    if not isinstance(value, bool):
        raise TypeError(f'{value!r} is not a bool')
    return value


def _check_same_type(left, right):
    """CEL compares and adds only values of one type; all numbers here are doubles."""
    if _kind(left) is not _kind(right):
        raise TypeError(f'{left!r} and {right!r} are of different types')


def _kind(value):
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _explain(error):
    return f'no such key: {error}' if isinstance(error, KeyError) else str(error)
