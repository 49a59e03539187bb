"""What conversions do to a table, as SQL: every name quoted, so that it reads alike in every session."""

from __future__ import annotations

import pytest

from sa_partman.ddl.render import quoted_sql, stored
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, CreateTable, DropTable, Stored
from sa_partman.plan.table_actions import (
    AddCheck,
    AddConstraint,
    AddForeignKey,
    AddIdentity,
    AddPrimaryKey,
    Analyze,
    ChangeOwner,
    Comment,
    ContinueSequence,
    CreateIndex,
    CreateStatistics,
    DropConstraint,
    DropIdentity,
    DropIndex,
    DropTrigger,
    ExceptTables,
    GrantPrivileges,
    OwnSequence,
    Rename,
    SetIndexColumnTarget,
    SetIndexTablespace,
    SetLogged,
    SetNotNull,
    SetStorage,
    SetTrigger,
    ValidateConstraint,
)
from sa_partman.table.definition import HERE

T, INDEX, SEQUENCE = QualifiedName("s", 'the "t"'), QualifiedName("s", "i"), QualifiedName("s", "it's")
NAME = '"s"."the ""t"""'


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Rename("INDEX", INDEX, "j"), 'ALTER INDEX "s"."i" RENAME TO "j"'),
        (ChangeOwner(INDEX, "me", "STATISTICS"), 'ALTER STATISTICS "s"."i" OWNER TO "me"'),
        (Comment("COLUMN", T, "it's", "c"), f"COMMENT ON COLUMN {NAME}.\"c\" IS 'it''s'"),
        (Comment("CONSTRAINT", T, None, "k"), f'COMMENT ON CONSTRAINT "k" ON {NAME} IS NULL'),
        (Comment("INDEX", INDEX, "a\\b"), 'COMMENT ON INDEX "s"."i" IS E\'a\\\\b\''),
        (AddCheck(T, "k", "true", validated=False), f'ALTER TABLE {NAME} ADD CONSTRAINT "k" CHECK (true) NOT VALID'),
        (
            AddConstraint(T, "k", "UNIQUE (a)", ("fillfactor=70",)),
            f'ALTER TABLE {NAME} ADD CONSTRAINT "k" UNIQUE (a) WITH (fillfactor=70)',
        ),
        (
            AddPrimaryKey(T, "k", ("a",), ("b",), ("fillfactor=70",)),
            f'ALTER TABLE {NAME} ADD CONSTRAINT "k" PRIMARY KEY ("a") INCLUDE ("b") WITH (fillfactor=70)',
        ),
        (AddPrimaryKey(T, "k", index="i"), f'ALTER TABLE {NAME} ADD CONSTRAINT "k" PRIMARY KEY USING INDEX "i"'),
        (
            AddForeignKey(INDEX, "k", ("a", "b"), T, ("c", "d"), " ON DELETE SET NULL DEFERRABLE", ("a",)),
            f'ALTER TABLE "s"."i" ADD CONSTRAINT "k" FOREIGN KEY ("a", "b") REFERENCES {NAME} ("c", "d") '
            f'ON DELETE SET NULL ("a") DEFERRABLE NOT VALID',
        ),
        (ValidateConstraint(T, "k"), f'ALTER TABLE {NAME} VALIDATE CONSTRAINT "k"'),
        (DropConstraint(T, "k", if_exists=True), f'ALTER TABLE {NAME} DROP CONSTRAINT IF EXISTS "k"'),
        (SetLogged(T, on=False), f"ALTER TABLE {NAME} SET UNLOGGED"),
        (SetNotNull(T, "c", on=False), f'ALTER TABLE {NAME} ALTER COLUMN "c" DROP NOT NULL'),
        (
            SetStorage(T, ("n_distinct=5",), unset=True, column="c"),
            f'ALTER TABLE {NAME} ALTER COLUMN "c" RESET (n_distinct)',
        ),
        (CreateIndex(T, "i", "USING gin (a)"), f'CREATE INDEX "i" ON {NAME} USING gin (a)'),
        (
            CreateIndex(T, "i", columns=("a",), tablespace="x", unique=True, concurrently=True),
            f'CREATE UNIQUE INDEX CONCURRENTLY "i" ON {NAME} ("a") TABLESPACE "x"',
        ),
        (DropIndex(INDEX, concurrently=True, if_exists=True), 'DROP INDEX CONCURRENTLY IF EXISTS "s"."i"'),
        (SetIndexTablespace(INDEX, "x"), 'ALTER INDEX "s"."i" SET TABLESPACE "x"'),
        (SetIndexColumnTarget(INDEX, 2, 500), 'ALTER INDEX "s"."i" ALTER COLUMN 2 SET STATISTICS 500'),
        (
            AddIdentity(T, "c", True, SEQUENCE, "START 1"),
            f'ALTER TABLE {NAME} ALTER COLUMN "c" ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "s"."it\'s" START 1)',
        ),
        (DropIdentity(T, "c"), f'ALTER TABLE {NAME} ALTER COLUMN "c" DROP IDENTITY'),
        (ContinueSequence(SEQUENCE, INDEX), 'SELECT setval(\'"s"."it\'\'s"\', last_value, is_called) FROM "s"."i"'),
        (OwnSequence(SEQUENCE, T, "c"), f'ALTER SEQUENCE "s"."it\'s" OWNED BY {NAME}."c"'),
        (SetTrigger(T, "x", "A"), f'ALTER TABLE {NAME} ENABLE ALWAYS TRIGGER "x"'),
        (DropTrigger(T, "x"), f'DROP TRIGGER "x" ON {NAME}'),
        (
            ExceptTables("p", (T,), ('"s"."z"',)),
            f'ALTER PUBLICATION "p" SET ALL TABLES EXCEPT (TABLE {NAME}, TABLE "s"."z")',
        ),
        (
            CreateStatistics(T, INDEX, f" (mcv) ON a, b FROM {HERE}"),
            f'CREATE STATISTICS "s"."i" (mcv) ON a, b FROM {NAME}',
        ),
        (
            GrantPrivileges(SEQUENCE, "PUBLIC", ("USAGE",), kind="SEQUENCE"),
            'GRANT USAGE ON SEQUENCE "s"."it\'s" TO PUBLIC',
        ),
        (Analyze(T, only=True), f"ANALYZE ONLY {NAME}"),
        (DropTable(T, if_exists=True), f"DROP TABLE IF EXISTS {NAME}"),
        (
            CreateTable(INDEX, T, options=("fillfactor=70",), tablespace="x", bare=True),
            f'CREATE TABLE "s"."i" (LIKE {NAME} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES EXCLUDING '
            f'STATISTICS EXCLUDING CONSTRAINTS EXCLUDING COMMENTS) WITH (fillfactor=70) TABLESPACE "x"',
        ),
    ],
)
def test_one_statement(action: Action, expected: str) -> None:
    assert (expected,) == quoted_sql([action])


def test_what_is_stored_says_whether_it_can_share_a_transaction() -> None:
    """A concurrent build can't, however it is written down."""
    alone, together = stored([DropIndex(INDEX, concurrently=True), DropIndex(INDEX)])

    assert Stored('DROP INDEX CONCURRENTLY "s"."i"', transaction=False) == alone
    assert (False, True) == (alone.in_transaction, together.in_transaction)
