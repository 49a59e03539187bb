"""Tables in the EXCEPT clause of a FOR ALL TABLES publication, which PostgreSQL 19 has first."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman.engine.migration import unpartition_inline
from sa_partman.errors import ConversionRefused
from sa_partman.maintenance.converter import Converter
from sa_partman.names import QualifiedName
from tests.support.converting import NOW, TABLE, Ends, converter, metadata
from tests.support.database import as_role, role, sql

PUBLICATION = "CREATE PUBLICATION p FOR ALL TABLES EXCEPT (TABLE events, TABLE orgs)"
EXCEPTED = """
SELECT CAST(CAST(prrelid AS regclass) AS text) FROM pg_publication_rel WHERE prexcept ORDER BY 1
"""
PUBLISHED = "SELECT tablename FROM pg_publication_tables WHERE pubname = 'p' ORDER BY 1"


@pytest.fixture
def excepted(events: Engine, server_major: int) -> Engine:
    if server_major < 19:
        pytest.skip("PostgreSQL 19 has the clause first")
    sql(events, PUBLICATION)
    return events


def clause(engine: Engine) -> list[str]:
    return [row[0] for row in sql(engine, EXCEPTED)]


def test_the_new_table_is_in_the_clause_and_nothing_of_it_is_published(excepted: Engine, undisturbed: Ends) -> None:
    """On the way back the table is in it again."""
    converter(excepted).convert(TABLE)

    assert ["events", "orgs"] == clause(excepted)
    assert [] == sql(excepted, PUBLISHED)
    assert "p" == sql(excepted, "SELECT CAST(relkind AS text) FROM pg_class WHERE relname = 'events'")[0][0]

    converter(excepted).undo(TABLE)

    assert ["events", "orgs"] == clause(excepted)
    assert "r" == sql(excepted, "SELECT CAST(relkind AS text) FROM pg_class WHERE relname = 'events'")[0][0]


def test_a_copying_way_back_leaves_it_there_too(excepted: Engine) -> None:
    converter(excepted).convert(TABLE)
    with excepted.begin() as connection:
        unpartition_inline(connection, QualifiedName("public", TABLE), ("id",))

    assert ["events", "orgs"] == clause(excepted)
    assert [] == sql(excepted, PUBLISHED)


def test_who_may_not_change_the_clause_is_told_before_the_first_step(excepted: Engine) -> None:
    owned = ("TABLE events", "TABLE orgs", "VIEW event_count")
    with role(
        excepted, "GRANT ALL ON SCHEMA public TO {role}", "GRANT CREATE ON DATABASE {database} TO {role}"
    ) as name:
        for what in owned:
            sql(excepted, f"ALTER {what} OWNER TO {name}")
        theirs = as_role(excepted, name)
        with pytest.raises(ConversionRefused, match=r"EXCEPT clause of the publication p.*let a superuser run"):
            Converter(theirs, metadata(), now=NOW).convert(TABLE)
        theirs.dispose()

    assert ["events", "orgs"] == clause(excepted)
