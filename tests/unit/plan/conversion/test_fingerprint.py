"""Fingerprints of tables: what a stored one proves must not change with the classes that it was made of."""

from dataclasses import fields

from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.fingerprint import FIELDS, fingerprint
from sa_partman.table.definition import (
    HERE,
    Column,
    Constraint,
    Cover,
    Dependent,
    ExtendedStatistics,
    Grant,
    InboundKey,
    Index,
    ObjectPrivileges,
    OwnedSequence,
    Policy,
    Publication,
    TableDefinition,
    Trigger,
)

TABLE = QualifiedName("s", "events")
PRIVILEGES = ObjectPrivileges("me", (Grant("me", "SELECT"), Grant("you", "UPDATE", "note", True)), False, ("they",))
WHOLE = TableDefinition(
    name=TABLE,
    oid=7,
    server=18,
    kind="r",
    persistence="u",
    owner="me",
    rows=5.0,
    bytes=6,
    index_bytes=7,
    columns=(
        Column("id", "bigint", True, "d", "", 100, ("n_distinct=5",)),
        Column("at", "timestamp with time zone", False, "", "s"),
    ),
    sequences=(OwnedSequence(QualifiedName("s", "q"), "id", True, "START WITH 1", "c", PRIVILEGES, ("view v",)),),
    indexes=(
        Index("events_pkey", ("id",), "USING btree (id)", True, True, "events_pkey", "p"),
        Index(
            "i",
            (None, "at"),
            "USING gist (f(at), at)",
            False,
            False,
            partial=True,
            immediate=False,
            comment="c",
            bytes=9,
            tablespace="fast",
            included=("id",),
            options=("fillfactor=70",),
            targets=((1, 500),),
        ),
    ),
    constraints=(
        Constraint("f", "f", "FOREIGN KEY (id) REFERENCES s.o(id)", ("id",), False, True, TABLE, "c", True),
        Constraint("n", "c", "CHECK (id > 0)", ("id",)),
    ),
    inbound=(
        InboundKey("k", TABLE, ("e",), ("id",), "FOREIGN KEY", " MATCH FULL", True, False, "c", (("e", "bigint"),)),
    ),
    triggers=(Trigger("t", f"CREATE TRIGGER t ON {HERE} x", "A", True, True, True, "c"),),
    dependents=(Dependent("view v", ("CREATE VIEW v",), ("s.events",)), Dependent("function f")),
    publications=(Publication("p", " (id)", True), Publication("r")),
    covers=(Cover("a", "FOR ALL TABLES", True, True, ("s.o",), False), Cover("b", "FOR TABLES IN SCHEMA s")),
    privileges=PRIVILEGES,
    policies=(
        Policy("own", "ALL", True, ("PUBLIC",), "true", reads_itself=True, comment="c"),
        Policy("other", "SELECT", False, ("me", '"You"'), "a.b", "(c > 1)"),
    ),
    row_security=True,
    force_row_security=True,
    comments=((None, "whole"), ("id", "one")),
    statistics=(ExtendedStatistics(QualifiedName("s", "x"), f" ON id, at FROM {HERE}", 50, "c"),),
    replica_identity="i",
    replica_index="events_pkey",
    options=("fillfactor=80",),
    tablespace="slow",
    access_method="heap2",
    obstacles=("it is temporary",),
    key_users=("view v",),
    missing_rights=("the role me does not own it",),
)
EMPTY = TableDefinition(TABLE, 7, 18, "r", "p", "me", 5.0, 6, 7, columns=())


def test_a_stored_fingerprint_of_form_2_stays_comparable() -> None:
    """These were stored by a version whose classes had other names."""
    assert "2:fa5d2d410db77cccfc86a8d835d50be11f27bd68ef2e79098f34bbbee13f00a5" == fingerprint(WHOLE)
    assert "2:2885eddc315f31dc955c9a6f2c5b974311363d160ff1caf4912534de63d73a32" == fingerprint(
        WHOLE, frozenset({"i", "n"}), ("at",), [("id", True, "e'x'")]
    )
    assert "2:b51985d0c804d284812c241ba643544c1fbfc49f2427a8f66357831964c35626" == fingerprint(EMPTY)


def test_every_field_belongs_to_it_or_passes() -> None:
    """Whoever adds one decides what it means for a fingerprint that was stored before."""
    passing = {
        (kind.__name__, each.name)
        for kind, (always, unless) in FIELDS.items()
        for each in fields(kind)
        if each.name not in (*always, *unless)
    }

    assert {
        *(("TableDefinition", name) for name in ("oid", "server", "rows", "bytes", "index_bytes")),
        *(("Column", name) for name in ("expression", "collation", "storage", "compression")),
        *(("Policy", name) for name in ("command", "permissive", "roles", "using", "check")),
        ("Publication", "usable"),
        ("Index", "bytes"),
    } == passing
