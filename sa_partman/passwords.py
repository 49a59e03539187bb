"""Passwords: what is never printed, logged or stored, whoever wrote the text that holds one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"

_NAMES = "(?:pg|ssl)?password|oauth_client_secret|scram_client_key|scram_server_key"
# The last @ ends it: one that nobody has encoded is part of the password, or of what the driver takes for the host.
_LOGIN = re.compile(r"(?P<user>://[^\s:/@?]*):\S*@")
_SETTING = re.compile(
    rf"(?P<name>\b(?:{_NAMES})(?P<quote>['\"]?)\s*[=:]\s*)(?!\*\*\*)(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s&'\",;)]+)",
    re.IGNORECASE,
)
# libpq repeats what it can't read of a connection string.
_ECHO = re.compile(r"(?P<said>percent-encoded token: |missing \"=\" after )\"[^\"]*\"")


def without_passwords(text: str, known: Iterable[str] = ()) -> str:
    """
    *text* with ``***`` for each password that can be told by where it stands: in a URL, its query, a connection string.

    Args:
        known: Passwords that go wherever they stand, as they are or percent-encoded.
    """
    for secret in sorted({form for each in known if each for form in _forms(each)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    text = _LOGIN.sub(rf"\g<user>:{HIDDEN}@", text)
    text = _SETTING.sub(rf"\g<name>{HIDDEN}", text)
    return _ECHO.sub(rf"\g<said>{HIDDEN}", text)


def passwords_in(url: str) -> Iterator[str]:
    """
    The password of a database URL, or each of its parts when it has an @ or colon that is not encoded: a parser takes
    what follows for the host or port, and names it in its message.
    """
    login = _LOGIN.search(url)
    if login is not None:
        password = login[0][login.end("user") - login.start() + 1 : -1]
        yield from (password, *re.split("[@:/]", password))


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, unquote(secret), quote(secret, safe=""), quote_plus(secret))
