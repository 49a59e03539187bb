"""The words that PostgreSQL's expressions are printed in: strings, numbers, names and signs."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a token is; the values name the groups of the pattern below."""

    STRING = "string"
    ESCAPED = "escaped"
    NUMBER = "number"
    WORD = "word"
    NAME = "name"
    SIGN = "sign"


class Token(NamedTuple):
    """*text* is what the token means: a string without its quotes, a word in upper case."""

    kind: Kind
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
_KINDS = {kind.value: kind for kind in Kind}
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


def _meaning(kind: Kind, source: str) -> str:
    if kind is Kind.STRING:
        return source[1:-1].replace("''", "'")
    if kind is Kind.ESCAPED:
        return _ESCAPE.sub(_unescaped, source[2:-1])
    return source.upper() if kind is Kind.WORD else source


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
