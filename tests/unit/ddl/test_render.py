"""Actions as SQL: names quoted, literals typed, for every driver."""

from __future__ import annotations

import pytest
from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import CompileError

from sa_partman.bounds.bound import DEFAULT, HashBound
from sa_partman.ddl.render import render, script_of, sql_of
from sa_partman.ddl.render import sql as rendering
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DeleteReferring,
    DetachPartition,
    DropDetached,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.archive import Archive
from tests.support.builders import at, holds, kinds, span

EVENTS, JANUARY = QualifiedName("public", "events"), QualifiedName("public", "events_p20260101")
KEY = PartitionKey((KeyPart("created_at", None, KeyType.of("timestamp with time zone")),))
TEXT = PartitionKey((KeyPart("region", None, KeyType.of("text")),))
MONTH = span("2026-01-01", "2026-02-01")
BOUNDS = (
    "FOR VALUES FROM ('2026-01-01 00:00:00+00'::timestamp with time zone) "
    "TO ('2026-02-01 00:00:00+00'::timestamp with time zone)"
)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (
            CreateTable(JANUARY, EVENTS),
            "CREATE TABLE public.events_p20260101 "
            "(LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES)",
        ),
        (
            CreateTable(JANUARY, EVENTS, "HASH (id)", unlogged=True),
            "CREATE UNLOGGED TABLE public.events_p20260101 "
            "(LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES) PARTITION BY HASH (id)",
        ),
        (
            CreatePartition(EVENTS, JANUARY, MONTH, KEY),
            f"CREATE TABLE public.events_p20260101 PARTITION OF public.events {BOUNDS}",
        ),
        (
            CreatePartition(EVENTS, JANUARY, HashBound(4, 1), KEY, "LIST (region)"),
            "CREATE TABLE public.events_p20260101 PARTITION OF public.events "
            "FOR VALUES WITH (MODULUS 4, REMAINDER 1) PARTITION BY LIST (region)",
        ),
        (DropTable(JANUARY), "DROP TABLE public.events_p20260101"),
        (DropPartition(EVENTS, JANUARY, MONTH, KEY), "DROP TABLE public.events_p20260101"),
        (
            AttachPartition(EVENTS, JANUARY, MONTH, KEY),
            f"ALTER TABLE public.events ATTACH PARTITION public.events_p20260101 {BOUNDS}",
        ),
        (
            AttachPartition(EVENTS, JANUARY, DEFAULT, KEY),
            "ALTER TABLE public.events ATTACH PARTITION public.events_p20260101 DEFAULT",
        ),
        (
            DetachPartition(EVENTS, JANUARY, MONTH, KEY),
            "ALTER TABLE public.events DETACH PARTITION public.events_p20260101",
        ),
        (
            DetachPartition(EVENTS, JANUARY, MONTH, KEY, concurrently=True),
            "ALTER TABLE public.events DETACH PARTITION public.events_p20260101 CONCURRENTLY",
        ),
        (
            FinalizeDetach(EVENTS, JANUARY),
            "ALTER TABLE public.events DETACH PARTITION public.events_p20260101 FINALIZE",
        ),
        (
            MarkDetached(JANUARY, EVENTS, "it's mine"),
            "COMMENT ON TABLE public.events_p20260101 IS 'sa_partman: detached from \"public\".\"events\"\nit''s mine'",
        ),
        (UnmarkDetached(JANUARY, "it's mine"), "COMMENT ON TABLE public.events_p20260101 IS 'it''s mine'"),
        (UnmarkDetached(JANUARY), "COMMENT ON TABLE public.events_p20260101 IS NULL"),
        (
            MarkAdopted(JANUARY, EVENTS, at("2026-03-01"), "it's mine"),
            "COMMENT ON TABLE public.events_p20260101 IS "
            "'sa_partman: adopted at 2026-03-01T00:00:00+00:00\nit''s mine'",
        ),
        (
            MarkDetached(JANUARY, EVENTS, None, at("2026-03-01"), holds("eu"), TEXT),
            'COMMENT ON TABLE public.events_p20260101 IS \'sa_partman: detached from "public"."events" at '
            "2026-03-01T00:00:00+00:00 had \"FOR VALUES IN (''eu''::text)\"'",
        ),
        (
            DeleteReferring(EVENTS.sibling("notes"), JANUARY, ("event_id", 'the "at"'), ("id", "created_at"), batch=9),
            "DELETE FROM public.notes s WHERE s.ctid = ANY (ARRAY(SELECT s.ctid FROM public.notes s WHERE EXISTS "
            '(SELECT FROM public.events_p20260101 p WHERE p."id" = s."event_id" AND p."created_at" = s."the ""at""") '
            "LIMIT 9)) AND EXISTS "
            '(SELECT FROM public.events_p20260101 p WHERE p."id" = s."event_id" AND p."created_at" = s."the ""at""")',
        ),
        (
            ArchiveTable(JANUARY, EVENTS, Archive("/a*/b")),
            "COPY (TABLE public.events_p20260101) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *) "
            "/* archive to /a* /b as csv.gz */",
        ),
        (DropDetached(JANUARY, EVENTS), "DROP TABLE public.events_p20260101"),
    ],
)
def test_one_statement(action: Action, expected: str) -> None:
    """What PostgreSQL will read; who makes a table marks it."""
    name = getattr(action, "name", None)
    marked = isinstance(action, CreateTable | CreatePartition)
    mark = (f"COMMENT ON TABLE {name} IS 'sa_partman: created'",) if marked else ()

    assert (expected, *mark) == sql_of([action])


def test_names_are_quoted() -> None:
    """Where they have to be, each part by itself."""
    odd = QualifiedName("My Schema", 'the "order"')

    assert ('DROP TABLE "My Schema"."the ""order"""',) == sql_of([DropTable(odd)])


def test_a_percent_sign_is_doubled_for_the_drivers_that_need_it() -> None:
    """psycopg takes it for a parameter; printed it is one."""
    action = AttachPartition(EVENTS, QualifiedName("public", "100%"), holds("50%"), TEXT)
    (statement,) = render(action)
    pyformat = str(statement.compile(dialect=postgresql.dialect(paramstyle="pyformat")))  # type: ignore[no-untyped-call]

    assert "100%%" in pyformat
    assert "'50%%'" in pyformat
    assert "%%" not in sql_of([action])[0]


def test_moving_rows_locks_first() -> None:
    """Two statements; nothing of the names or values can end the string that they stand in."""
    evil = QualifiedName("public", "a'b $sa_partman$ \\")
    lock, move = sql_of([MoveRows(evil, JANUARY, holds("it's $$ \\"), TEXT, limit=5)])

    assert lock.startswith("LOCK TABLE ")
    assert lock.endswith("IN SHARE ROW EXCLUSIVE MODE")
    assert "LIMIT 6" in move
    assert move.startswith("DO $sa_partman1$")
    assert 2 == move.count("$sa_partman1$")


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_action_has_ddl(kind: type) -> None:
    """An action that nobody can render is a promise that nobody can keep."""
    assert rendering.dispatch(kind) is not rendering.dispatch(object)


def test_what_is_no_action() -> None:
    """It can't be rendered."""
    with pytest.raises(NotImplementedError):
        render("DROP TABLE events")  # type: ignore[arg-type]


def test_another_dialect() -> None:
    """It says so, instead of writing something that looks right."""
    (statement,) = render(DropTable(JANUARY))

    with pytest.raises(CompileError, match="PostgreSQL only, not on sqlite"):
        statement.compile(dialect=sqlite.dialect())


def test_a_schema_translate_map_applies() -> None:
    """As it does to tables."""
    seen: list[str] = []
    mock = create_mock_engine("postgresql+psycopg://", lambda statement, *_, **__: seen.append(statement))
    (statement,) = render(DropTable(QualifiedName("model", "x")))
    compiled = statement.compile(dialect=mock.dialect, schema_translate_map={"model": "real"})

    assert "model" not in str(compiled).replace("__[SCHEMA_model]", "")


def test_a_script() -> None:
    """Transactions as they are taken; what runs outside of one stands outside."""
    inside = Step(Purpose.DROP, EVENTS, JANUARY, MONTH, (DropPartition(EVENTS, JANUARY, MONTH, KEY),))
    detach = DetachPartition(EVENTS, JANUARY, MONTH, KEY, concurrently=True)
    outside = Step(Purpose.DETACH, EVENTS, JANUARY, MONTH, (detach,))
    script = script_of([inside, outside], lock_timeout=0.2, patience=60)

    assert "BEGIN;\n" in script
    assert "DROP TABLE public.events_p20260101;\nCOMMIT;\n" in script
    assert (
        "SET lock_timeout = '60000ms';\n"
        "ALTER TABLE public.events DETACH PARTITION public.events_p20260101 CONCURRENTLY;\n"
        "RESET lock_timeout;\n"
    ) in script
    assert 1 == script.count("BEGIN;\nSET LOCAL lock_timeout = '200ms';\n")
    assert "" == script_of([], lock_timeout=0.2, patience=60)
