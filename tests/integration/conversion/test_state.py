"""What is stored of a conversion, and what a second call makes of it."""

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman.errors import ExecutionError, MissingPrivilege, Refused
from sa_partman.postgres import journal
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import TABLE, Ends, converter
from tests.support.database import as_role, role, scalar, sql


def test_there_is_no_state_before_the_first_conversion(events: Engine) -> None:
    """Asking makes no schema."""
    assert converter(events).state(TABLE) is None
    assert not scalar(events, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sa_partman'")


def test_a_conversion_gives_back_what_is_stored(events: Engine) -> None:
    done = converter(events).convert(TABLE)

    assert done == converter(events).state(TABLE)
    assert ("convert", "done", len(done.steps), None) == (done.kind, done.status, done.done, done.next_step)
    assert ("id",) == done.primary_key
    assert done.cut_over


def test_a_step_and_its_state_are_one_transaction(events: Engine) -> None:
    """After each step the stored number is that of the steps whose work shows."""
    seen = []

    def report(step: object, seconds: float) -> None:
        found = converter(events).state(TABLE)
        assert found is not None
        seen.append(found.done)

    converter(events).convert(TABLE, report=report)

    assert list(range(1, len(seen) + 1)) == seen


def test_a_second_conversion_has_nothing_to_do(events: Engine, undisturbed: Ends) -> None:
    converter(events).convert(TABLE)
    plan, again = converter(events).plan(TABLE), converter(events).convert(TABLE)

    assert ((), ()) == (plan.steps, plan.refusals)
    assert ("done", (), 0) == (again.status, again.steps, again.done)
    undisturbed.check(events, "convert")


@pytest.mark.parametrize("verb", ["resume", "abort"])
def test_without_a_conversion_under_way_there_is_nothing_to_go_on_with(verb: str, events: Engine) -> None:
    converter(events).convert(TABLE)
    with pytest.raises(
        Refused, match=r"no conversion in progress; nothing was changed\. The last conversion of it is done"
    ):
        getattr(converter(events), verb)(TABLE)


def test_an_unfinished_conversion_is_not_begun_again(events: Engine) -> None:
    stopped_after(events, "convert", "check")
    with pytest.raises(Refused, match=r"next step: prove it .*--resume, or take it back: .*--abort"):
        converter(events).convert(TABLE)


def test_an_unfinished_undo_is_not_begun_again(events: Engine) -> None:
    converter(events).convert(TABLE)
    stopped_after(events, "undo", "unique_index")
    with pytest.raises(Refused, match=r"the undo of the conversion of public\.events is in progress"):
        converter(events).undo(TABLE)


def test_only_a_finished_conversion_is_undone_and_only_once(events: Engine) -> None:
    with pytest.raises(Refused, match="no finished conversion"):
        converter(events).undo(TABLE)
    converter(events).convert(TABLE)
    converter(events).undo(TABLE)
    with pytest.raises(Refused, match="no finished conversion"):
        converter(events).undo(TABLE)


def test_forth_and_back_and_forth_again(events: Engine, undisturbed: Ends) -> None:
    """The second conversion finds the table as the first one did."""
    for _ in range(2):
        converter(events).convert(TABLE)
        undisturbed.check(events, "convert")
        converter(events).undo(TABLE)
        undisturbed.check(events, "undo")

    assert "" == difference(undisturbed.start, snapshot(events))


def test_why_it_stopped_is_stored_until_it_goes_on(events: Engine) -> None:
    stopped_after(events, "convert", "not_null")
    sql(events, "CREATE TABLE events_pnew ()")
    with pytest.raises(ExecutionError):
        converter(events).resume(TABLE)
    stopped = converter(events).state(TABLE)
    sql(events, "DROP TABLE events_pnew")

    assert stopped is not None
    assert 'relation "events_pnew" already exists' in (stopped.error or "")
    assert converter(events).resume(TABLE).error is None


def test_two_that_stand_at_the_same_step_do_not_both_move_it(events: Engine) -> None:
    """Whoever comes second is told, and rolls back."""
    stopped_after(events, "convert", "check")
    conversion = converter(events).state(TABLE)
    assert conversion is not None
    with events.begin() as connection:
        first = journal.move(connection, conversion, 2, 3)
    with events.begin() as connection:
        second = journal.move(connection, conversion, 2, 3)

    assert (True, False) == (first, second)


def test_a_role_that_may_not_make_the_schema_is_told_who_can(events: Engine) -> None:
    owned = ("TABLE events", "TABLE orgs", "VIEW event_count")
    with role(events, "GRANT ALL ON SCHEMA public TO {role}") as name:
        for what in owned:
            sql(events, f"ALTER {what} OWNER TO {name}")
        theirs = as_role(events, name)
        with pytest.raises(MissingPrivilege, match="CREATE SCHEMA sa_partman AUTHORIZATION"):
            converter(theirs).convert(TABLE)
        theirs.dispose()


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "REPEATABLE READ", "SERIALIZABLE"])
def test_an_engine_of_another_isolation_level_converts_as_well(level: str, events: Engine, undisturbed: Ends) -> None:
    """Steps bring their own: AUTOCOMMIT would tear them apart, an old snapshot would see yesterday's catalog."""
    theirs = create_engine(events.url, isolation_level=level)
    converter(theirs).convert(TABLE)
    theirs.dispose()

    undisturbed.check(events, "convert")


def test_a_pool_of_one_connection_suffices(events: Engine, undisturbed: Ends) -> None:
    theirs = create_engine(events.url, pool_size=1, max_overflow=0, pool_timeout=2)
    converter(theirs).convert(TABLE, progress=lambda progress: None)
    converter(theirs).undo(TABLE, progress=lambda progress: None)
    theirs.dispose()

    undisturbed.check(events, "undo")


def test_no_setting_of_a_step_leaks_into_the_pool(events: Engine) -> None:
    """The one connection of the pool is as its next user expects it."""
    theirs = create_engine(events.url, pool_size=1, max_overflow=0)
    settings = (
        "SELECT name || '=' || setting FROM pg_settings WHERE source = 'session' "
        "AND name <> 'transaction_isolation' ORDER BY 1"  # SQLAlchemy names it in each BEGIN
    )
    before = sql(theirs, settings)
    converter(theirs).convert(TABLE)
    after = sql(theirs, settings)
    theirs.dispose()

    assert before == after
