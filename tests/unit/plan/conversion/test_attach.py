"""The plan of a conversion in place, from values alone: no server is asked."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sa_partman import PartitionByRange
from sa_partman.bounds.bound import MINVALUE, RangeBound
from sa_partman.compare.context import Context
from sa_partman.ddl.render import from_stored, quoted_sql, to_stored
from sa_partman.key import KeyType
from sa_partman.names import QualifiedName, text_literal
from sa_partman.plan.conversion.attach import attach_in_place, names_of
from sa_partman.plan.conversion.carry import granted
from sa_partman.plan.conversion.fingerprint import fingerprint
from sa_partman.plan.conversion.refusals import Again, again
from sa_partman.plan.conversion.request import Choices, ConversionPlan, ConversionRequest, Profile, Refusal
from sa_partman.plan.steps import Step
from sa_partman.spec.declared import ColumnType, bind
from sa_partman.table.definition import (
    HERE,
    Column,
    Constraint,
    Dependent,
    ExtendedStatistics,
    Grant,
    InboundKey,
    Index,
    ObjectPrivileges,
    TableDefinition,
)

NOW = datetime(2024, 6, 15, tzinfo=UTC)
TABLE = QualifiedName("s", "events")
ID = Index("events_pkey", ("id",), "USING btree (id)", True, True, "events_pkey", "p")
NOTES = InboundKey(
    "fk",
    QualifiedName("s", "notes"),
    ("event",),
    ("id",),
    "FOREIGN KEY (event) REFERENCES s.events(id) ON DELETE SET NULL",
    " ON DELETE SET NULL",
    acts=True,
    types=(("event", "bigint"), ("at", "timestamp with time zone")),
)


def definition(**changes: Any) -> TableDefinition:
    found = TableDefinition(
        TABLE,
        7,
        18,
        "r",
        "p",
        "me",
        1.0,
        8192,
        8192,
        (Column("id", "bigint", True), Column("at", "timestamp with time zone", False)),
        indexes=(ID,),
        constraints=(Constraint("events_pkey", "p", "PRIMARY KEY (id)", ("id",)),),
    )
    return replace(found, **changes)


def request(**choices: Any) -> ConversionRequest:
    spec = PartitionByRange("at", interval="1 month", premake=1)
    types = {"id": KeyType.of("bigint"), "at": KeyType.of("timestamp with time zone")}
    declared = bind(TABLE, spec, {name: ColumnType(name, type) for name, type in types.items()})
    history = RangeBound((MINVALUE,), (datetime(2024, 7, 1, tzinfo=UTC),))
    return ConversionRequest(declared, ("id", "at"), Context(NOW, {}), Choices(**choices), history=history)


def plan(found: TableDefinition | None = None, profile: Profile | None = None, **choices: Any) -> ConversionPlan:
    return attach_in_place(request(**choices), found or definition(), profile or Profile())


def step(of: ConversionPlan, id: str) -> Step:
    return next(each for each in of.steps if each.id == id)


def test_steps_are_in_order() -> None:
    """What reads the table comes before what locks it."""
    steps = plan().steps

    assert ["unique_index", "check", "validate", "not_null", "parent", "cutover", "analyze"] == [s.id for s in steps]
    assert not any(each.scans for each in steps if each.guarded)


@pytest.mark.parametrize(
    ("server", "analyzed", "extended", "title"),
    [
        (18, True, False, "copy the planner's statistics to the partitioned table"),
        (18, False, False, "analyze the partitioned table"),
        (18, True, True, "analyze the partitioned table"),
        (17, True, False, "analyze the partitioned table"),
    ],
)
def test_statistics_are_copied_where_they_can_be(server: int, analyzed: bool, extended: bool, title: str) -> None:
    """Since PostgreSQL 18, but for extended ones."""
    kept = ExtendedStatistics(TABLE.sibling("s"), f" ON id, at FROM {HERE}") if extended else None
    found = plan(definition(server=server, statistics=(kept,) if kept else ()), Profile(analyzed=analyzed))

    assert title == step(found, "analyze").title
    assert bool(step(found, "analyze").scans) == title.startswith("analyze")


def test_everything_before_the_cut_over_can_be_taken_back() -> None:
    """Validating changes nothing that its CHECK's removal would not undo."""
    steps = plan().steps
    before = steps[: [each.id for each in steps].index("cutover")]

    assert ["validate"] == [each.id for each in before if not each.undo]


@pytest.mark.parametrize(
    ("indexes", "unique", "lost"),
    [
        ((ID,), {}, ["events_pkey"]),
        ((ID, Index("by_id", ("id",), "USING btree (id)", False, True)), {}, []),
        ((ID, Index("by_id", ("id",), "USING brin (id)", False, True)), {}, ["events_pkey"]),
        (
            (ID, Index("by_id", ("id",), "USING btree (id) WHERE id > 0", False, True, partial=True)),
            {},
            ["events_pkey"],
        ),
        ((ID, Index("u", ("id",), "USING btree (id)", True, True)), {"u": "local"}, ["events_pkey", "u"]),
    ],
)
def test_an_index_whose_columns_no_other_one_begins_with_is_named(
    indexes: tuple[Index, ...], unique: dict[str, Any], lost: list[str]
) -> None:
    wanted = replace(request(unique=unique), primary_key=("at", "id"))
    notes = attach_in_place(wanted, definition(indexes=indexes), Profile()).notes

    assert lost == [note.split()[0] for note in notes if "no other index begins with (id)" in note]
    assert not any("no other index" in note for note in plan(definition(indexes=indexes[:1])).notes)


def test_one_check_proves_not_null_and_the_bound() -> None:
    """In the key's own type."""
    (statement,) = quoted_sql(step(plan(), "check").actions)

    assert '"at" IS NOT NULL AND "at" < \'2024-07-01 00:00:00+00\'::timestamp with time zone) NOT VALID' in statement


def test_a_step_is_the_same_after_it_was_stored() -> None:
    """It comes back from JSON, with the statements instead of what they were rendered from."""
    for each in plan().steps:
        stored = json.loads(json.dumps(to_stored(each)))

        assert stored == to_stored(from_stored(stored, each.purpose, TABLE))
        assert each.in_transaction == from_stored(stored, each.purpose, TABLE).in_transaction


def test_a_refused_conversion_has_no_steps() -> None:
    """So nobody can run them."""
    refused = plan(profile=Profile(nulls=3, outside=2, sample=("2030-01-01",)))

    assert () == refused.steps
    assert [
        "3 rows have NULL in the partition key (at)",
        "2 rows lie outside the bound of the history partition (2030-01-01)",
    ] == [refusal.what for refusal in refused.refusals]


@pytest.mark.parametrize(("policy", "kind"), [("refuse", Refusal), ("drop", type(None)), ("composite", Again)])
def test_an_inbound_key_becomes_what_was_chosen(policy: str, kind: type) -> None:
    """Nothing that nobody chose."""
    found = again(NOTES, request(inbound=policy), definition(inbound=(NOTES,)))

    assert isinstance(found, kind)


def test_a_composite_key_sets_only_what_it_did() -> None:
    """SET NULL without columns would set the partition key as well."""
    found = plan(definition(inbound=(NOTES,)), inbound="composite")
    added = next(each for each in quoted_sql(step(found, "cutover").actions) if 'ADD CONSTRAINT "fk"' in each)

    assert (
        'ALTER TABLE "s"."notes" ADD CONSTRAINT "fk" FOREIGN KEY ("event", "at") REFERENCES "s"."events" ("id", "at") '
        'ON DELETE SET NULL ("event") NOT VALID'
    ) == added
    assert ('ALTER TABLE "s"."notes" VALIDATE CONSTRAINT "fk"',) == quoted_sql(
        step(found, "inbound:s.notes.fk").actions
    )


def test_a_composite_key_is_refused_where_its_action_would_run_by_a_move() -> None:
    """PostgreSQL 14."""
    found = again(NOTES, request(inbound="composite"), definition(inbound=(NOTES,), server=14))

    assert isinstance(found, Refusal)
    assert "PostgreSQL 14 performs that action also" in found.what


def test_the_tables_of_other_policies_are_locked_with_it() -> None:
    """All in one statement, so that nobody deadlocks with the swap."""
    policy = Dependent("policy p on s.other", ("ALTER POLICY p ON s.other USING (true)",), ("s.other",))

    assert ('"s"."events"', '"s"."notes"', "s.other") == step(
        plan(definition(inbound=(NOTES,), dependents=(policy,)), inbound="drop"), "cutover"
    ).locked


def test_every_name_that_is_taken_is_known_before() -> None:
    """Of tables, indexes and partitions."""
    assert {
        "events_pnew",
        "events_history",
        "events_history_bound",
        "events_pkey_new",
        "events_pkey_pnew",
        "events_pkey_history",
        "events_p20240701",
    } == {name.name for name in names_of(request(), definition())}


def test_a_fingerprint_does_not_see_what_the_conversion_adds() -> None:
    """Its own index, its check and the NOT NULL of the key; but everything else."""
    own = frozenset({"mine"})
    added = definition(
        columns=(Column("id", "bigint", True), Column("at", "timestamp with time zone", True)),
        indexes=(ID, replace(ID, name="mine")),
        constraints=(*definition().constraints, Constraint("mine", "c", "", ()), Constraint("n", "n", "", ("at",))),
        rows=99.0,
    )

    assert fingerprint(definition(), own, ("at",)) == fingerprint(added, own, ("at",))
    assert fingerprint(definition(), own, ("at",)) != fingerprint(definition(owner="you"), own, ("at",))


def test_untouched_privileges_need_no_statement() -> None:
    """Unless default privileges would add somebody."""
    grants = (Grant("me", "SELECT"), Grant("me", "INSERT"))

    assert [] == list(granted(ObjectPrivileges("me", grants), TABLE))
    assert [
        'REVOKE ALL ON TABLE "s"."events" FROM PUBLIC, me, you',
        'GRANT SELECT ON TABLE "s"."events" TO me',
        'GRANT INSERT ON TABLE "s"."events" TO me',
    ] == list(quoted_sql(granted(ObjectPrivileges("me", grants, strangers=("you",)), TABLE)))


@pytest.mark.parametrize(("value", "written"), [("it's", "'it''s'"), ("a\\b", "E'a\\\\b'")])
def test_a_literal_means_the_same_in_every_session(value: str, written: str) -> None:
    """Whatever standard_conforming_strings says."""
    assert written == text_literal(value)
