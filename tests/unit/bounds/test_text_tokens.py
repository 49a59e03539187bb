"""The tokenizer: what PostgreSQL's expressions are printed in."""

from __future__ import annotations

import pytest

from sa_partman.bounds.read import Kind, Token, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'de'", Token(Kind.STRING, "de")),
        ("''", Token(Kind.STRING, "")),
        ("'it''s'", Token(Kind.STRING, "it's")),
        ("''''''", Token(Kind.STRING, "''")),
        ("'a, b)''c'", Token(Kind.STRING, "a, b)'c")),
        ("'back\\slash'", Token(Kind.STRING, "back\\slash")),
        ("'ends with \\'", Token(Kind.STRING, "ends with \\")),
        ("'two\nlines'", Token(Kind.STRING, "two\nlines")),
        ("E'back\\\\slash'", Token(Kind.ESCAPED, "back\\slash")),
        ("E'it''s \\'so\\''", Token(Kind.ESCAPED, "it's 'so'")),
        ("e'\\n\\t\\u00fc\\U0001F600\\q'", Token(Kind.ESCAPED, "\n\tü😀q")),
        ("1.50", Token(Kind.NUMBER, "1.50")),
        ("1e-7", Token(Kind.NUMBER, "1e-7")),
        ("maxvalue", Token(Kind.WORD, "MAXVALUE")),
        ('"My ""Enum"""', Token(Kind.NAME, '"My ""Enum"""')),
        ("::", Token(Kind.SIGN, "::")),
    ],
)
def test_one_token(text: str, expected: Token) -> None:
    """A token is what its text means: quotes and escapes are gone, words are in upper case."""
    assert [expected] == tokens(text)


def test_spaces_between_tokens_do_not_count() -> None:
    """Spaces and line ends separate tokens; inside a string they belong to it."""
    expected = [Token(Kind.WORD, "IN"), Token(Kind.SIGN, "("), Token(Kind.STRING, " x "), Token(Kind.SIGN, ")")]

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
