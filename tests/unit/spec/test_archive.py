"""Where archives lie, as people may see it."""

from __future__ import annotations

import pytest

from sa_partman import Archive
from sa_partman.spec.archive import shown


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("/archive", "/archive"),
        ("a:b@c", "a:b@c"),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("s3://AKIA:se/cr%2Fet@bucket/folder", "s3://bucket/folder"),
        ("s3://AKIA:secret@bucket?scheme=http&region=x", "s3://bucket?scheme=http&region=x"),
        ("gs://anonymous@bucket/folder", "gs://anonymous@bucket/folder"),
        ("abfs://box:secret@account.dfs.core.windows.net/a", "abfs://box@account.dfs.core.windows.net/a"),
        ("abfs://:secret@account.blob.core.windows.net/a", "abfs://account.blob.core.windows.net/a"),
        ("abfs://box@account/a?sas_token=x&enable_tls=true", "abfs://box@account/a?enable_tls=true"),
        ("gs://bucket?ACCESS_KEY=x", "gs://bucket"),
    ],
)
def test_credentials_are_not_shown(to: str, expected: str) -> None:
    assert expected == shown(to)
    assert f"archive to {expected} as csv.gz" == str(Archive(to))


def test_the_code_that_makes_it_again_has_them() -> None:
    """It is for the program that has them already."""
    archive = Archive("s3://AKIA:secret@bucket")

    assert archive == eval(repr(archive), {"Archive": Archive})
