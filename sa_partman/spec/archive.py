"""Where the rows of an expired partition go before it is dropped."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from sa_partman.errors import DeclarationError

Format = Literal["csv.gz", "parquet"]
FORMATS = ("csv.gz", "parquet")

_URL = re.compile(r"[a-z][a-z0-9+.-]*://.+")
_LOGIN = re.compile(r"(?P<user>[^/?:@]*):[^?@]*@")
_SECRET = re.compile(r"[^=]*(key|secret|token|password|credential|sig)[^=]*=", re.IGNORECASE)


@dataclass(frozen=True, init=False, repr=False)
class Archive:
    """
    For ``Retention(then=Archive(...))``: a detached table is written to a file, verified, and only then dropped.

    Args:
        to: A directory, or a URL such as ``s3://bucket/folder``, ``gs://...``, ``abfs://...``, with options behind a
            ``?`` as pyarrow knows them: URLs need the extra ``archive``. Every maintainer must see the same place.
        format: ``"csv.gz"``, which ``COPY`` reads again, or ``"parquet"``, which needs the extra ``archive``.

    Raises:
        DeclarationError: *to* names no place, or *format* is neither word.
    """

    to: str
    format: Format

    def __init__(self, to: str | os.PathLike[str], format: Format = "csv.gz") -> None:
        place = os.fspath(to)
        if not place.strip():
            raise DeclarationError(f"Archive(to={to!r}): name a directory, or a URL such as 's3://bucket/folder'")
        if "://" in place and not _URL.fullmatch(place):
            raise DeclarationError(f"Archive(to={to!r}): that is no URL; write it as 's3://bucket/folder'")
        if format not in FORMATS:
            raise DeclarationError(f"Archive(format={format!r}): write format='csv.gz' or format='parquet'")
        object.__setattr__(self, "to", place)
        object.__setattr__(self, "format", format)

    def __repr__(self) -> str:
        return f"Archive({self.to!r})" if self.format == "csv.gz" else f"Archive({self.to!r}, format={self.format!r})"

    def __str__(self) -> str:
        return f"archive to {shown(self.to)} as {self.format}"


def shown(to: str) -> str:
    """*to* without what only its owner may know, for plans, messages and comments: credentials in a URL."""
    if "://" not in to:
        return to
    scheme, _, rest = to.partition("://")
    place, _, options = rest.partition("?")
    login = _LOGIN.match(place)
    if login is not None:
        # In an Azure URL the user is the container; of an access key for S3 nothing is worth keeping.
        user = "" if scheme == "s3" or not login["user"] else f"{login['user']}@"
        place = user + place[login.end() :]
    kept = "&".join(each for each in options.split("&") if each and not _SECRET.match(each))
    return f"{scheme}://{place}{'?' * bool(kept)}{kept}"
