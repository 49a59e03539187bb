"""The grammar of a printed partition bound: tokens in, bound out."""

from __future__ import annotations

from collections.abc import Sequence

from sa_partman.bounds.bound import DEFAULT, Bound, HashBound, ListBound, RangeBound
from sa_partman.bounds.tokens import Kind, Token, tokens
from sa_partman.bounds.value_text import value_of
from sa_partman.bounds.values import MAXVALUE, MINVALUE, KeyValue
from sa_partman.key import KeyType

_END = Token(Kind.SIGN, "")
_KEYWORDS = frozenset({Kind.WORD, Kind.SIGN})
_EXTREMES = {"MINVALUE": MINVALUE, "MAXVALUE": MAXVALUE}


def bound_of(text: str, types: Sequence[KeyType]) -> Bound:
    """
    The bound that *text* says.

    Args:
        types: Of the key columns, in key order.

    Raises:
        ValueError: *text* is no bound of such a key.

    Source: PostgreSQL, ``get_rule_expr``, ``T_PartitionBoundSpec`` (``ruleutils.c``).
    """
    reader = _Reader(tokens(text))
    bound = _bound(reader, types)
    if reader.peek() is not _END:
        raise ValueError(f"{reader.peek().text!r} follows the bound")
    return bound


class _Reader:
    """A place in a line of tokens."""

    __slots__ = ("_position", "_tokens")

    def __init__(self, line: list[Token]) -> None:
        self._tokens, self._position = [*line, _END], 0

    def peek(self) -> Token:
        return self._tokens[self._position]

    def take(self) -> Token:
        token = self._tokens[self._position]
        if token is _END:
            raise ValueError("it ends too early")
        self._position += 1
        return token

    def accept(self, keyword: str) -> bool:
        """Pass over *keyword* if it comes next; a string of the same letters is none."""
        token = self._tokens[self._position]
        found = token.text == keyword and token.kind in _KEYWORDS
        self._position += found
        return found

    def expect(self, keyword: str) -> None:
        if not self.accept(keyword):
            raise ValueError(f"{self.peek().text!r} stands where {keyword} is expected")

    def number(self) -> int:
        token = self.take()
        if token.kind is not Kind.NUMBER:
            raise ValueError(f"{token.text!r} stands where a number is expected")
        return int(token.text)


def _bound(reader: _Reader, types: Sequence[KeyType]) -> Bound:
    if reader.accept("DEFAULT"):
        return DEFAULT
    reader.expect("FOR")
    reader.expect("VALUES")
    if reader.accept("WITH"):
        return _hash(reader)
    if reader.accept("IN"):
        return _list(reader, types)
    reader.expect("FROM")
    lower = _ends(reader, types)
    reader.expect("TO")
    return RangeBound(lower, _ends(reader, types))


def _hash(reader: _Reader) -> HashBound:
    for keyword in ("(", "MODULUS"):
        reader.expect(keyword)
    modulus = reader.number()
    for keyword in (",", "REMAINDER"):
        reader.expect(keyword)
    remainder = reader.number()
    reader.expect(")")
    return HashBound(modulus, remainder)


def _list(reader: _Reader, types: Sequence[KeyType]) -> ListBound:
    if len(types) != 1:
        raise ValueError(f"a list has one key column, not {len(types)}")
    reader.expect("(")
    values = [_value(reader, types[0])]
    while reader.accept(","):
        values.append(_value(reader, types[0]))
    reader.expect(")")
    if MINVALUE in values or MAXVALUE in values:
        raise ValueError("MINVALUE and MAXVALUE are no values of a list")
    return ListBound(frozenset(values))


def _ends(reader: _Reader, types: Sequence[KeyType]) -> tuple[KeyValue, ...]:
    """One end of a range."""
    values: list[KeyValue] = []
    for type in types:
        reader.expect("," if values else "(")
        values.append(_value(reader, type))
    reader.expect(")")
    if None in values:
        raise ValueError("NULL is no end of a range")
    return tuple(values)


def _value(reader: _Reader, type: KeyType) -> KeyValue:
    if reader.accept("("):
        value = _value(reader, type)
        reader.expect(")")
    elif reader.accept("-"):
        value = value_of(f"-{reader.take().text}", type)
    else:
        value = _constant(reader.take(), type)
    if reader.accept("::") or reader.accept("COLLATE"):
        _pass_over_type(reader)
    return value


def _constant(token: Token, type: KeyType) -> KeyValue:
    if token.kind in (Kind.STRING, Kind.ESCAPED, Kind.NUMBER):
        return value_of(token.text, type)
    if token.kind is Kind.WORD:
        if token.text == "NULL":
            return None
        if token.text in _EXTREMES:
            return _EXTREMES[token.text]
        if token.text in ("TRUE", "FALSE"):
            return value_of(token.text.lower(), type)
    raise ValueError(f"{token.text!r} stands where a value is expected")


def _pass_over_type(reader: _Reader) -> None:
    """Everything up to the comma or parenthesis that ends the value: ``numeric(10,2)``, ``s."My Enum"[]``."""
    depth = 0
    while depth or reader.peek() not in _ENDS:
        token = reader.take()
        if token in _PARENTHESES:
            depth += _PARENTHESES[token]


_ENDS = (Token(Kind.SIGN, ","), Token(Kind.SIGN, ")"))
_PARENTHESES = {Token(Kind.SIGN, "("): 1, Token(Kind.SIGN, ")"): -1}
