"""The tokenizer: what PostgreSQL's expressions are printed in."""

from __future__ import annotations

import pytest

from sa_partman.bounds.read import Token, TokenKind, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'de'", Token(TokenKind.STRING, "de")),
        ("''", Token(TokenKind.STRING, "")),
        ("'it''s'", Token(TokenKind.STRING, "it's")),
        ("''''''", Token(TokenKind.STRING, "''")),
        ("'a, b)''c'", Token(TokenKind.STRING, "a, b)'c")),
        ("'back\\slash'", Token(TokenKind.STRING, "back\\slash")),
        ("'ends with \\'", Token(TokenKind.STRING, "ends with \\")),
        ("'two\nlines'", Token(TokenKind.STRING, "two\nlines")),
        ("E'back\\\\slash'", Token(TokenKind.ESCAPED, "back\\slash")),
        ("E'it''s \\'so\\''", Token(TokenKind.ESCAPED, "it's 'so'")),
        ("e'\\n\\t\\u00fc\\U0001F600\\q'", Token(TokenKind.ESCAPED, "\n\tü😀q")),
        ("1.50", Token(TokenKind.NUMBER, "1.50")),
        ("1e-7", Token(TokenKind.NUMBER, "1e-7")),
        ("maxvalue", Token(TokenKind.WORD, "MAXVALUE")),
        ('"My ""Enum"""', Token(TokenKind.NAME, '"My ""Enum"""')),
        ("::", Token(TokenKind.SIGN, "::")),
    ],
)
def test_one_token(text: str, expected: Token) -> None:
    """A token is what its text means: quotes and escapes are gone, words are in upper case."""
    assert [expected] == tokens(text)


def test_spaces_between_tokens_do_not_count() -> None:
    """Spaces and line ends separate tokens; inside a string they belong to it."""
    expected = [
        Token(TokenKind.WORD, "IN"),
        Token(TokenKind.SIGN, "("),
        Token(TokenKind.STRING, " x "),
        Token(TokenKind.SIGN, ")"),
    ]

    assert expected == tokens("  in\n( ' x '\t)  ")


@pytest.mark.parametrize("text", ["'open", "'it''", '"open', "E'open\\'", "a ; b", "$$x$$", "\\"])
def test_what_is_no_token_is_refused(text: str) -> None:
    """A quote that is never closed, or a sign that no bound has, is an error and never skipped."""
    with pytest.raises(ValueError, match="no token at position"):
        tokens(text)


@pytest.mark.parametrize("text", ["E'\\303\\274'", "E'\\xc3'"])
def test_a_byte_escape_is_refused(text: str) -> None:
    """Bytes of an encoding that we do not know are not guessed; PostgreSQL never prints them."""
    with pytest.raises(ValueError, match="byte escape"):
        tokens(text)
