"""Who may do what: owners, grants, row security and policies, on the partitioned table and every partition."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from tests.support.carrying import EVENTS, Case, carried, refused, rows, run, value
from tests.support.database import as_role, sql

READER, OWNER = "sa_partman_reader", "sa_partman_owner"


@pytest.fixture(autouse=True)
def _roles(engine: Engine) -> Iterator[None]:
    """Roles belong to the whole server."""
    drop = "; ".join(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}" for name in (READER, OWNER))
    run(engine, f"CREATE ROLE {READER} LOGIN PASSWORD 'secret'; CREATE ROLE {OWNER} LOGIN PASSWORD 'secret'")
    yield
    run(engine, drop)


GRANTS = {
    "grants": f"GRANT SELECT, INSERT ON events TO {READER}",
    "grant option": f"GRANT SELECT ON events TO {READER} WITH GRANT OPTION",
    "public": "GRANT SELECT ON events TO PUBLIC",
    "columns": f"GRANT UPDATE (kind, amount), REFERENCES (id) ON events TO {READER} WITH GRANT OPTION",
    "owner's own": "REVOKE DELETE, TRUNCATE ON events FROM CURRENT_USER",
    "nothing left": f"GRANT SELECT ON events TO {READER}; REVOKE ALL ON events FROM {READER}, CURRENT_USER",
    "owner": f"GRANT CREATE ON SCHEMA public TO {OWNER}; ALTER TABLE events OWNER TO {OWNER};"
    f"GRANT SELECT ON events TO {READER}",
    "row security": f"ALTER TABLE events ENABLE ROW LEVEL SECURITY; ALTER TABLE events FORCE ROW LEVEL SECURITY;"
    f"CREATE POLICY \"p %s\" ON events AS RESTRICTIVE FOR UPDATE TO {READER}, {OWNER} USING (kind <> '%s')"
    f"WITH CHECK (amount > 0); CREATE POLICY q ON events FOR INSERT WITH CHECK (true);"
    "CREATE POLICY r ON events FOR DELETE USING (false); COMMENT ON POLICY q ON events IS 'it''s'",
    "policies that are not enabled": "CREATE POLICY p ON events USING (amount > 1)",
    "a policy that looks at its row from a subquery": "CREATE TABLE members (kind text, org text);"
    "CREATE POLICY p ON events USING (EXISTS (SELECT FROM members WHERE members.kind = events.kind "
    "AND members.org <> 'events.kind'))",
    "a policy that reads the table itself": f"CREATE POLICY p ON events FOR INSERT TO {READER} "
    "WITH CHECK (amount > (SELECT count(*) FROM events e WHERE e.kind = events.kind))",
}


@pytest.mark.parametrize("feature", GRANTS.values(), ids=GRANTS.keys())
def test_it_is_carried_to_every_partition_and_comes_back(engine: Engine, feature: str) -> None:
    """The partitions have what the table has, because somebody may read them directly."""
    case = carried(engine, feature)
    about = ("owner: ", "grants: ", "row security: ")
    own = {line for line in case.converted if line.startswith(("table public.events ", "column public.events."))}
    for name in ("events_history", "events_p20240701"):
        expected = {line.replace("public.events", f"public.{name}") for line in own if any(a in line for a in about)}
        assert expected <= {*case.converted}

    assert 3 * value(engine, "SELECT count(*) FROM pg_policy WHERE polrelid = 'events'::regclass") == value(
        engine, "SELECT count(*) FROM pg_policy"
    )
    assert "" == case.back()


def test_default_privileges_add_nobody(engine: Engine) -> None:
    """New tables and sequences of this role are readable by everybody; the partitioned table is none of those."""
    defaults = (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO {READER};"
    )
    case = carried(engine, defaults)

    assert [] == [line for line in case.converted if "events" in line and ("PUBLIC" in line or READER in line)]
    assert "" == case.back()


def test_a_policy_that_reads_the_table_itself_reads_all_of_it(engine: Engine) -> None:
    """Not only the history, which it would mean by its oid."""
    policy = f"""
        GRANT SELECT, INSERT ON events TO {READER};
        ALTER TABLE events ENABLE ROW LEVEL SECURITY;
        CREATE POLICY s ON events FOR SELECT USING (true);
        CREATE POLICY i ON events FOR INSERT WITH CHECK (NOT EXISTS (SELECT FROM events e WHERE e.id = events.id))
    """
    Case(engine, EVENTS + policy)
    run(engine, "INSERT INTO events (id, created_at) VALUES (1000, '2024-07-01')")
    other = as_role(engine, READER)
    try:
        sql(other, "INSERT INTO events (id, created_at) VALUES (1001, '2024-07-02')")
        with pytest.raises(ProgrammingError, match="row-level security"):
            sql(other, "INSERT INTO events (id, created_at) VALUES (1000, '2024-07-02')")
    finally:
        other.dispose()


def test_the_owner_converts_without_being_a_superuser(engine: Engine) -> None:
    """With nothing but what an owner has."""
    run(engine, f"GRANT CREATE ON SCHEMA public TO {OWNER}; GRANT CREATE ON DATABASE {engine.url.database} TO {OWNER}")
    owner = as_role(engine, OWNER)
    try:
        run(owner, EVENTS + f"GRANT SELECT ON events TO {READER}; CREATE VIEW v AS SELECT * FROM events")
        case = Case(engine, "", by=owner)

        assert [] == case.lost
        assert "" == case.back()
    finally:
        owner.dispose()


def test_a_member_of_the_owner_converts_it(engine: Engine) -> None:
    """The new tables belong to the owner, and not to who made them."""
    setup = EVENTS + (
        f"GRANT CREATE ON SCHEMA public TO {OWNER}, {READER}; ALTER TABLE events OWNER TO {OWNER};"
        f"GRANT {OWNER} TO {READER}; GRANT CREATE ON DATABASE {engine.url.database} TO {READER}"
    )
    run(engine, setup)
    run(engine, "ANALYZE events")
    member = as_role(engine, READER)
    try:
        case = Case(engine, "", by=member)
        assert 4 == value(engine, "SELECT count(*) FROM pg_stats WHERE tablename = 'events' AND inherited")

        assert [] == case.lost
        assert [(OWNER,)] == rows(engine, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert "" == case.back()
    finally:
        member.dispose()


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        (f"GRANT SELECT ON events TO {READER}", f"the role {READER} does not own it"),
        (
            f"ALTER TABLE events OWNER TO {READER}; ALTER TABLE events ENABLE ROW LEVEL SECURITY;"
            "ALTER TABLE events FORCE ROW LEVEL SECURITY; CREATE POLICY p ON events USING (amount > 3);"
            f"GRANT CREATE ON SCHEMA public TO {READER}",
            f"row security hides rows of it from the role {READER}",
        ),
        (
            f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; ALTER TABLE events OWNER TO {READER};",
            f"the role {READER} may not create in the schema public",
        ),
        (
            f"GRANT CREATE ON SCHEMA public TO {READER}; ALTER TABLE events OWNER TO {READER};"
            "CREATE VIEW v AS SELECT * FROM events",
            f"the role {READER} does not own view public.v",
        ),
        (
            f"GRANT CREATE ON SCHEMA public TO {READER}; ALTER TABLE events OWNER TO {READER};"
            "CREATE PUBLICATION p FOR TABLE events",
            f"the role {READER} does not own publication p",
        ),
        (
            f"GRANT CREATE ON SCHEMA public TO {READER}; CREATE TABLE kinds (kind text PRIMARY KEY);"
            f"INSERT INTO kinds SELECT DISTINCT kind FROM events;"
            f"ALTER TABLE events ADD FOREIGN KEY (kind) REFERENCES kinds; ALTER TABLE events OWNER TO {READER}",
            f"the role {READER} has no REFERENCES on public.kinds",
        ),
    ],
)
def test_a_missing_right_is_named_before_anything_is_touched(engine: Engine, lacking: str, reason: str) -> None:
    """What would fail in the middle is refused at the beginning."""
    other = as_role(engine, READER)
    try:
        assert reason in refused(engine, EVENTS + lacking, by=other)
    finally:
        other.dispose()
