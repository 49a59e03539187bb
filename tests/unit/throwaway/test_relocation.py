"""Server programs are told apart by what they are, not by where they lie."""

from pathlib import Path

import pytest

from sa_partman.throwaway import Binaries
from sa_partman.throwaway.relocation import fingerprint


def programs(prefix: Path, content: str, library: str = "") -> Binaries:
    for folder in ("bin", "lib"):
        (prefix / folder).mkdir(parents=True)
    (prefix / "bin" / "postgres").write_text(content)
    (prefix / "lib" / "plpgsql.so").write_text(library)
    return Binaries(prefix / "bin", "here", "18.6")


def test_the_same_programs_in_two_environments_have_one_fingerprint(tmp_path: Path) -> None:
    """So one template serves every virtual environment of a machine."""
    assert fingerprint(programs(tmp_path / "one", "x")) == fingerprint(programs(tmp_path / "other", "x"))


@pytest.mark.parametrize(("content", "library"), [("y", ""), ("x", "longer")])
def test_other_programs_have_another(tmp_path: Path, content: str, library: str) -> None:
    assert fingerprint(programs(tmp_path / "one", "x")) != fingerprint(programs(tmp_path / "other", content, library))


def test_a_template_made_with_other_options_has_another(tmp_path: Path) -> None:
    same = programs(tmp_path, "x")

    assert fingerprint(same, "--locale=C") != fingerprint(same, "--locale=de_DE")
