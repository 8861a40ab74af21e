"""Conditions of tasks: the part of the Common Expression Language (CEL) that TFX compiles to.

Comparisons, `!`, `&&`, `||` and `+` over numbers, strings, and fields of the executor's input, such
as `inputs.artifacts['model'].artifacts[0].metadata['auc'] > 0.9`. As in the backend, types are
checked before anything is evaluated: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

import ast
import operator
import re
from collections.abc import MutableMapping, MutableSequence

from google.protobuf import struct_pb2
from google.protobuf.message import Message
from kfp.pipeline_spec import pipeline_spec_pb2

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<double>\d+\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+) | (?P<int>\d+) | (?P<name>[A-Za-z_]\w*)
    | (?P<string>(?P<quote>['"])
        (?:[^\\\n\r] | \\[abfnrtv\\'"] | \\x[\da-fA-F]{2} | \\u[\da-fA-F]{4})*?(?P=quote))
    | (?P<sign>&&|\|\||[=!<>]=|[-+<>!.()[\]])
    )""",
    re.VERBOSE,
)  # fmt: skip
_COMPARISONS = {
    '==': operator.eq,
    '!=': operator.ne,
    '<': operator.lt,
    '<=': operator.le,
    '>': operator.gt,
    '>=': operator.ge,
}
_CONSTANTS = {'true': ('bool', True), 'false': ('bool', False), 'null': ('null', None)}
_ORDERED = ('int', 'double', 'string', 'bool')
_ADDED = ('int', 'double', 'string')
# what is known only when the condition is evaluated
_DYN = 'dyn'


class _EvaluationError(Exception):
    """The expression has no value; `&&` and `||` may do without it."""


def check(condition):
    """Refuses a condition that the backend cannot compile.

    Args:
        condition: CEL expression, str.

    Raises:
        ValueError: its syntax or its types are wrong, or it is of another kind than TFX writes.
    """
    _compile(condition)


def holds(condition, executor_input):
    """Evaluates a condition.

    Args:
        condition: CEL expression, str.
        executor_input: ExecutorInput.

    Returns:
        bool.

    Raises:
        ValueError: the backend's evaluation would fail: a key is not there, types do not compare,
            the result is no bool; or `check` refuses it.
    """
    try:
        value = _compile(condition)(executor_input)
    except _EvaluationError as error:
        raise ValueError(f'condition {condition!r}: {error}') from error
    if not isinstance(value, bool):
        raise ValueError(f'condition {condition!r} gives {value!r}, not true or false')
    return value


def quote(text):
    r"""Returns a CEL literal of `text` that the backend reads back as it is.

    A brace is escaped, too: Argo, which passes the condition on, fills in what is in `{{ }}`.

    >>> print(quote("it's {{x}}"))
    'it\'s \x7b\x7bx}}'
    """
    escaped = re.sub(r"""['"\\]""", r'\\\g<0>', text).replace('{', r'\x7b')
    return "'" + re.sub('[\0-\x1f]', lambda found: f'\\x{ord(found[0]):02x}', escaped) + "'"


def _compile(condition):
    """Returns the function from an ExecutorInput to the value."""
    try:
        kind, evaluate = _Parser(condition).parse()
    except (SyntaxError, RecursionError) as error:
        raise ValueError(f'condition {condition!r}: {error}') from error
    if _name(kind) not in ('bool', _DYN):
        raise ValueError(f'condition {condition!r} is no comparison')
    return evaluate


class _Parser:
    """Turns an expression into its type and a function from an ExecutorInput to its value.

    A type is a name, or an empty message, map or list that stands for those of its kind.
    """

    def __init__(self, text):
        self._tokens, end = [], 0
        while match := _TOKEN.match(text, end):
            kind = match.lastgroup
            kind = 'string' if kind == 'quote' else kind
            self._tokens.append((kind, match[kind]))
            end = match.end()
        if text[end:].strip():
            raise SyntaxError(f'syntax error at {text[end:]!r}')
        self._tokens.append(('end', 'its end'))

    def parse(self):
        expression = self._or()
        if self._tokens[0][0] != 'end':
            raise SyntaxError(f'syntax error at {self._tokens[0][1]!r}')
        return expression

    def _take(self, *signs):
        """The next token's text if it is one of `signs`, which is then passed over."""
        kind, text = self._tokens[0]
        if kind == 'sign' and text in signs:
            return self._tokens.pop(0)[1]
        return None

    def _expect(self, sign):
        if not self._take(sign):
            raise SyntaxError(f'syntax error at {self._tokens[0][1]!r}, where {sign!r} should be')

    def _or(self):
        return self._chain(self._and, '||', True)

    def _and(self):
        return self._chain(self._relation, '&&', False)

    def _chain(self, operand, sign, deciding):
        """Operands joined by `sign`: any of value `deciding` decides, whatever the others do."""
        operands = [operand()]
        while self._take(sign):
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]
        for kind, _ in operands:
            _check_overload(sign, ('bool',), kind)

        def evaluate(told):
            failure = None
            for _, value in operands:
                try:
                    if _boolean(value(told)) is deciding:
                        return deciding
                except _EvaluationError as error:
                    failure = failure or error
            if failure:
                raise failure
            return not deciding

        return 'bool', evaluate

    def _relation(self):
        left = self._sum()
        while sign := self._take(*_COMPARISONS):
            left = _compare(sign, left, self._sum())
        return left

    def _sum(self):
        left = self._unary()
        while self._take('+'):
            left = _add(left, self._unary())
        return left

    def _unary(self):
        if self._take('!'):
            kind, value = self._unary()
            _check_overload('!', ('bool',), kind)
            return 'bool', lambda told: not _boolean(value(told))
        if self._take('-'):
            kind, value = self._unary()
            _check_overload('-', ('int', 'double'), kind)
            return kind, lambda told: -_number(value(told))
        return self._member()

    def _member(self):
        kind, value = self._primary()
        while sign := self._take('.', '['):
            if sign == '[':
                key = self._or()
                self._expect(']')
            else:
                token, name = self._tokens.pop(0)
                if token != 'name':
                    raise SyntaxError(f'syntax error at {name!r}')
                if isinstance(kind, Message) and not isinstance(kind, struct_pb2.Struct):
                    kind, value = _field(kind, value, name)
                    continue
                if isinstance(kind, MutableSequence) or _name(kind) in _ORDERED:
                    raise SyntaxError(f'{_name(kind)} has no field {name!r}')
                key = 'string', lambda told, name=name: name
            kind, value = _item(kind, value, *key)
        return kind, value

    def _primary(self):
        if self._take('('):
            expression = self._or()
            self._expect(')')
            return expression
        kind, text = self._tokens.pop(0)
        if kind in ('int', 'double', 'string'):
            constant = ast.literal_eval(text)
            return kind, lambda told: constant
        if kind != 'name':
            raise SyntaxError(f'syntax error at {text!r}')
        if self._tokens[0] == ('sign', '('):
            raise SyntaxError(f'{text}() is not supported')
        if text in _CONSTANTS:
            kind, constant = _CONSTANTS[text]
            return kind, lambda told: constant
        return _field(pipeline_spec_pb2.ExecutorInput(), lambda told: told, text)


def _field(message, value, name):
    """The type and the value of a field of a message."""
    if name not in message.DESCRIPTOR.fields_by_name:
        raise SyntaxError(f'undefined field {name!r} of {_name(message)}')
    return _type(getattr(message, name)), lambda told: _plain(getattr(value(told), name))


def _item(container, value, key_kind, key):
    """The type and the value of what is in a container under a key."""
    if container is _DYN:
        kind, keys = _DYN, ('string', 'int')
    elif isinstance(container, struct_pb2.Struct):
        kind, keys = _DYN, ('string',)
    elif isinstance(container, MutableMapping):
        kind, keys = _type(container.GetEntryClass()().value), ('string',)
    elif isinstance(container, MutableSequence) and hasattr(container, 'add'):
        kind, keys = _type(container.add()), ('int',)
    else:
        raise SyntaxError(f'{_name(container)} has no items')
    _check_overload('[]', keys, key_kind)
    return kind, lambda told: _look_up(value(told), key(told))


def _look_up(container, key):
    if isinstance(container, struct_pb2.Struct):
        container = container.fields
    elif isinstance(container, struct_pb2.ListValue):
        container = container.values
    if isinstance(container, MutableMapping) and isinstance(key, str):
        # asking a map of messages for a key makes it
        if key not in container:
            raise _EvaluationError(f'no such key: {key!r}')
    elif not isinstance(container, MutableSequence) or type(key) is not int:
        raise _EvaluationError(f'{container!r} has no item {key!r}')
    elif not 0 <= key < len(container):
        raise _EvaluationError(f'index out of bounds: {key}')
    return _plain(container[key])


def _compare(sign, left, right):
    equality = sign in ('==', '!=')
    _check_overload(sign, (*_ORDERED, 'null') if equality else _ORDERED, left[0], right[0])
    compare = _COMPARISONS[sign]

    def evaluate(told):
        a, b = left[1](told), right[1](told)
        if _kind(a) is not _kind(b):
            if equality:
                return sign == '!='
            raise _EvaluationError(f'{a!r} and {b!r} are of different types')
        return compare(a, b)

    return 'bool', evaluate


def _add(left, right):
    _check_overload('+', _ADDED, left[0], right[0])

    def evaluate(told):
        a, b = left[1](told), right[1](told)
        if type(a) is not type(b) or not isinstance(a, str | int | float):
            raise _EvaluationError(f'{a!r} and {b!r} cannot be added')
        return a + b

    return right[0] if left[0] is _DYN else left[0], evaluate


def _check_overload(sign, kinds, *operands):
    """Refuses an operation on types that it is not declared for; all operands are of one type."""
    known = {_name(kind) for kind in operands} - {_DYN}
    if len(known) > 1 or not known <= set(kinds):
        raise SyntaxError(f'{sign!r} does not go with {", ".join(map(_name, operands))}')


def _type(prototype):
    """The type of what `prototype` is an empty one of."""
    if isinstance(prototype, struct_pb2.Value):
        return _DYN
    kinds = {bool: 'bool', int: 'int', float: 'double', str: 'string'}
    return kinds.get(type(prototype), prototype)


def _name(kind):
    if isinstance(kind, str):
        return kind
    return kind.DESCRIPTOR.name if isinstance(kind, Message) else 'a map or list'


def _plain(value):
    """A value as Python has it; numbers in JSON are doubles."""
    if not isinstance(value, struct_pb2.Value):
        return value
    kind = value.WhichOneof('kind')
    return None if kind in (None, 'null_value') else getattr(value, kind)


def _boolean(value):
    if not isinstance(value, bool):
        raise _EvaluationError(f'{value!r} is not a bool')
    return value


def _number(value):
    if _kind(value) is not float:
        raise _EvaluationError(f'{value!r} is not a number')
    return value


def _kind(value):
    """The Python type, and one for all numbers: those of different types do compare."""
    return float if type(value) is int else type(value)
