"""A partition bound, read from what ``pg_get_expr(relpartbound, 0)`` prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from sa_partman.bounds.bound import DEFAULT, MAXVALUE, MINVALUE, Bound, HashBound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.text import value_of
from sa_partman.errors import UnreadableBound
from sa_partman.key import KeyType

PRINTED_UNDER = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""The settings of a session whose bounds can be read, and compared as they are printed."""


class TokenKind(StrEnum):
    """What a token is; the values name the groups of the pattern below."""

    STRING = "string"
    ESCAPED = "escaped"
    NUMBER = "number"
    WORD = "word"
    NAME = "name"
    SIGN = "sign"


class Token(NamedTuple):
    """*text* is what the token means: a string without its quotes, a word in upper case."""

    kind: TokenKind
    text: str


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>  '[^']*(?:''[^']*)*' )
      | (?P<escaped> [eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*' )
      | (?P<number>  (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )
      | (?P<word>    [^\W\d]\w*+(?!') )
      | (?P<name>    "[^"]*(?:""[^"]*)*" )
      | (?P<sign>    ::|[(),.+-]|\[|\] )
    )\s*""",
    re.VERBOSE | re.DOTALL,
)
_KINDS = {kind.value: kind for kind in TokenKind}
_ESCAPE = re.compile(r"''|\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x[0-9a-fA-F]|[0-7]|(.))", re.DOTALL)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def tokens(text: str) -> list[Token]:
    """
    All tokens of *text*, in order, spaces between them left out.

    Raises:
        ValueError: Something in *text* is no token; a quote is never closed.

    Source: PostgreSQL, Lexical Structure.
    """
    found: list[Token] = []
    position, end = 0, len(text)
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"no token at position {position}: {text[position : position + 20]!r}")
        kind = _KINDS[match.lastgroup or ""]
        found.append(Token(kind, _meaning(kind, match[kind])))
        position = match.end()
    return found


def _meaning(kind: TokenKind, source: str) -> str:
    if kind is TokenKind.STRING:
        return source[1:-1].replace("''", "'")
    if kind is TokenKind.ESCAPED:
        return _ESCAPE.sub(_unescaped, source[2:-1])
    return source.upper() if kind is TokenKind.WORD else source


def _unescaped(match: re.Match[str]) -> str:
    if match[0] == "''":
        return "'"
    code = match[1] or match[2]
    if code is not None:
        return chr(int(code, 16))
    if match[3] is None:
        # \x and octal escapes are bytes of the server's encoding, which nobody told us.
        raise ValueError(f"the byte escape {match[0]}... in a string")
    return _CONTROLS.get(match[3], match[3])


_LAST = Token(TokenKind.SIGN, "")
_KEYWORDS = frozenset({TokenKind.WORD, TokenKind.SIGN})
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
    reader = _TokenReader(tokens(text))
    bound = _bound(reader, types)
    if reader.peek() is not _LAST:
        raise ValueError(f"{reader.peek().text!r} follows the bound")
    return bound


class _TokenReader:
    """A place in a line of tokens."""

    __slots__ = ("_position", "_tokens")

    def __init__(self, line: list[Token]) -> None:
        self._tokens, self._position = [*line, _LAST], 0

    def peek(self) -> Token:
        return self._tokens[self._position]

    def take(self) -> Token:
        token = self._tokens[self._position]
        if token is _LAST:
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
        if token.kind is not TokenKind.NUMBER:
            raise ValueError(f"{token.text!r} stands where a number is expected")
        return int(token.text)


def _bound(reader: _TokenReader, types: Sequence[KeyType]) -> Bound:
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


def _hash(reader: _TokenReader) -> HashBound:
    for keyword in ("(", "MODULUS"):
        reader.expect(keyword)
    modulus = reader.number()
    for keyword in (",", "REMAINDER"):
        reader.expect(keyword)
    remainder = reader.number()
    reader.expect(")")
    return HashBound(modulus, remainder)


def _list(reader: _TokenReader, types: Sequence[KeyType]) -> ListBound:
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


def _ends(reader: _TokenReader, types: Sequence[KeyType]) -> tuple[KeyValue, ...]:
    """One end of a range."""
    values: list[KeyValue] = []
    for type in types:
        reader.expect("," if values else "(")
        values.append(_value(reader, type))
    reader.expect(")")
    if None in values:
        raise ValueError("NULL is no end of a range")
    return tuple(values)


def _value(reader: _TokenReader, type: KeyType) -> KeyValue:
    if reader.accept("("):
        value = _value(reader, type)
        reader.expect(")")
    elif reader.accept("-"):
        value = value_of(f"-{reader.take().text}", type)
    else:
        value = _parsed(reader.take(), type)
    if reader.accept("::") or reader.accept("COLLATE"):
        _pass_over_type(reader)
    return value


def _parsed(token: Token, type: KeyType) -> KeyValue:
    if token.kind in (TokenKind.STRING, TokenKind.ESCAPED, TokenKind.NUMBER):
        return value_of(token.text, type)
    if token.kind is TokenKind.WORD:
        if token.text == "NULL":
            return None
        if token.text in _EXTREMES:
            return _EXTREMES[token.text]
        if token.text in ("TRUE", "FALSE"):
            return value_of(token.text.lower(), type)
    raise ValueError(f"{token.text!r} stands where a value is expected")


def _pass_over_type(reader: _TokenReader) -> None:
    """Everything up to the comma or parenthesis that ends the value: ``numeric(10,2)``, ``s."My Enum"[]``."""
    depth = 0
    while depth or reader.peek() not in _ENDS:
        token = reader.take()
        if token in _PARENTHESES:
            depth += _PARENTHESES[token]


_ENDS = (Token(TokenKind.SIGN, ","), Token(TokenKind.SIGN, ")"))
_PARENTHESES = {Token(TokenKind.SIGN, "("): 1, Token(TokenKind.SIGN, ")"): -1}


_CONSTANT = r"'[^']*(?:''[^']*)*'|[0-9]+(?:\.[0-9]+)?|true|false"
_END = rf"(?:{_CONSTANT}|MINVALUE|MAXVALUE)"
_MEMBER = rf"(?:{_CONSTANT}|NULL)"
_PRINTED = re.compile(
    rf"FOR VALUES (?:"
    rf"FROM \(({_END}(?:, {_END})*)\) TO \(({_END}(?:, {_END})*)\)"
    rf"|IN \(({_MEMBER}(?:, {_MEMBER})*)\)"
    rf"|WITH \(modulus ([0-9]+), remainder ([0-9]+)\))"
)
_ITEM = re.compile(rf"{_CONSTANT}|[A-Z]+")
_WORDS: dict[str, KeyValue] = {"MINVALUE": MINVALUE, "MAXVALUE": MAXVALUE, "NULL": None}


def parse_bound(text: str, types: Sequence[KeyType]) -> Bound:
    """
    The bound that *text* says, as values.

    Args:
        text: From ``DEFAULT`` or ``FOR VALUES`` to the end.
        types: Of the parent's key columns, in key order.

    Raises:
        UnreadableBound: *text* is no bound, or not one of a key of *types*.
    """
    try:
        printed = printed_bound(text, types)
        return bound_of(text, types) if printed is None else printed
    except ValueError as error:
        raise UnreadableBound(_complaint(text, types, error)) from error


def printed_bound(text: str, types: Sequence[KeyType]) -> Bound | None:
    """
    What `bound_of` says, in a third of the time, for the forms that PostgreSQL 14 to 18 print.

    Returns:
        None for any other form.

    Raises:
        ValueError: A value that is none of its column's type.
    """
    match = _PRINTED.fullmatch(text)
    if match is None:
        return None
    lower, upper, members, modulus, remainder = match.groups()
    if modulus is not None:
        return HashBound(int(modulus), int(remainder))
    if members is not None:
        if len(types) != 1:
            return None
        return ListBound(frozenset([_constant(item, types[0]) for item in _ITEM.findall(members)]))
    lowers, uppers = _ITEM.findall(lower), _ITEM.findall(upper)
    if not len(lowers) == len(uppers) == len(types):
        return None
    return RangeBound(tuple(map(_constant, lowers, types)), tuple(map(_constant, uppers, types)))


def _constant(item: str, type: KeyType) -> KeyValue:
    if item[0] == "'":
        return value_of(item[1:-1].replace("''", "'"), type)
    return _WORDS[item] if item in _WORDS else value_of(item, type)


def _complaint(text: str, types: Sequence[KeyType], error: ValueError) -> str:
    shown = text if len(text) <= 500 else f"{text[:500]}... ({len(text)} characters)"
    return (
        f"the partition bound {shown!r} can't be read for a key of type ({', '.join(type.sql for type in types)}): "
        f"{error}. Nothing was changed. Its session must have DateStyle 'ISO, YMD' and TimeZone 'UTC'; "
        f"if it has, please report this text."
    )
