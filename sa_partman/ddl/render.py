"""Action -> statements: as elements for a connection, as text for people, and as a conversion stores them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial, singledispatch
from operator import attrgetter
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer

from sa_partman.bounds.text import for_values
from sa_partman.marks import CREATED, adopted, marked
from sa_partman.names import QualifiedName, quote, text_literal
from sa_partman.plan import actions
from sa_partman.plan.actions import Action, Stored
from sa_partman.plan.steps import Purpose, Step

Relation = Callable[[QualifiedName], str]
"""How the name of a relation is written."""


@singledispatch
def sql(action: Action, relation: Relation) -> str | tuple[str, ...]:
    """What PostgreSQL is to do: one statement, or several in order, without semicolons."""
    raise NotImplementedError(type(action))


def _statements(actions: Iterable[Action], relation: Relation) -> tuple[str, ...]:
    found = (sql(action, relation) for action in actions)
    return tuple(each for one in found for each in ((one,) if isinstance(one, str) else one))


class ActionDDL(ExecutableDDLElement):
    """
    One statement of an action, for a connection.

    Args:
        place: Which of its statements.
        written: All of them, as its preparer wrote them; of all elements of the action.
    """

    inherit_cache = False

    def __init__(self, action: Action, place: int, written: dict[IdentifierPreparer, tuple[str, ...]]) -> None:
        self.action, self.place, self.written = action, place, written

    def statement(self, preparer: IdentifierPreparer) -> str:
        if preparer not in self.written:
            self.written[preparer] = _statements((self.action,), partial(_prepared, preparer))
        return self.written[preparer][self.place]


def render(action: Action) -> tuple[ActionDDL, ...]:
    """The statements of *action*, in order."""
    written: dict[IdentifierPreparer, tuple[str, ...]] = {}
    return tuple(ActionDDL(action, place, written) for place in range(len(_statements((action,), _quoted))))


@compiles(ActionDDL)
def _elsewhere(element: ActionDDL, compiler: DDLCompiler, **_: Any) -> str:
    raise CompileError(f"{type(element.action).__name__} exists on PostgreSQL only, not on {compiler.dialect.name}")


@compiles(ActionDDL, "postgresql")
def _on_postgresql(element: ActionDDL, compiler: DDLCompiler, **_: Any) -> str:
    statement = element.statement(compiler.preparer)
    # Drivers that use % for parameters need any other doubled.
    return statement.replace("%", "%%") if _doubles(compiler.preparer) else statement


def _prepared(preparer: IdentifierPreparer, name: QualifiedName) -> str:
    """*name*, quoted where it must be; ``schema_translate_map`` applies, as it does to a Table."""
    written = preparer.format_table(_table(name))
    return written.replace("%%", "%") if _doubles(preparer) else written


def _doubles(preparer: IdentifierPreparer) -> bool:
    return bool(getattr(preparer, "_double_percents", False))


@lru_cache(1024)
def _table(name: QualifiedName) -> Table:
    # A Table takes longer to make than the whole statement to compile, and a plan names its parents again and again.
    return Table(name.name, MetaData(), schema=name.schema)


_quoted: Relation = attrgetter("quoted")


@cache
def _printing() -> Relation:
    # Imported when something is printed: it takes a tenth of the time that the whole package takes to start.
    from sqlalchemy.dialects import postgresql

    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    return partial(_prepared, dialect.identifier_preparer)


def sql_of(actions: Iterable[Action]) -> tuple[str, ...]:
    """The SQL of *actions*, a statement each, without semicolons; nothing is doubled for a driver."""
    return _statements(actions, _printing())


def quoted_sql(actions: Iterable[Action]) -> tuple[str, ...]:
    """The same with the names of all relations quoted, which reads alike in every session: as conversions store it."""
    return _statements(actions, _quoted)


def stored(actions: Iterable[Action]) -> tuple[Stored, ...]:
    """*actions* as what `quoted_sql` makes of each: so a conversion is sent, stored in between or not."""
    return tuple(Stored(each, action.in_transaction) for action in actions for each in quoted_sql((action,)))


def set_role(role: str | None, *, local: bool = True) -> str:
    """
    Who is at work from here on: a role, or None for the one that connected.

    In a transaction SET LOCAL ends with it, so that nothing of it goes back into a pool.
    """
    return f"SET {'LOCAL ' * local}ROLE {'NONE' if role is None else quote(role)}"


def lock_tables(quoted: Iterable[str], mode: str = "ACCESS EXCLUSIVE") -> str:
    """
    Args:
        quoted: Behind ONLY where what is below does not matter.
        mode: As SQL has it.
    """
    return f"LOCK TABLE {', '.join(quoted)} IN {mode} MODE"


def step_sql(step: Step) -> tuple[str, ...]:
    """The SQL of *step*, and before it who does it, when that is not whoever connected."""
    if step.role is None:
        return sql_of(step.actions)
    local = step.in_transaction
    back = () if local else (set_role(None, local=False),)
    return (set_role(step.role, local=local), *sql_of(step.actions), *back)


_ADVICE = """\
-- No statement waits in a queue for a lock, with others behind it, for longer than its lock_timeout. What fails so has
-- changed nothing: run it again. Use psql -v ON_ERROR_STOP=1, or paste one block at a time: the second half of a change
-- needs the first one. "sa-partman run" looks who is in the way before it queues, and tries again by itself.
"""


def script_of(steps: Iterable[Step], *, lock_timeout: float, patience: float) -> str:
    """
    *steps* as a script that psql can run, from a file or pasted: transactions as they are taken, each with the timeout
    that a run gives it, and nothing of it left in the session.

    Args:
        lock_timeout: Seconds that a transaction waits for a lock.
        patience: Seconds that a statement outside of any waits, behind which nobody queues.
    """
    blocks = ["".join(f"{line}\n" for line in block(step_sql(step), step, lock_timeout, patience)) for step in steps]
    return "\n".join([_ADVICE, *blocks]) if blocks else ""


def block(statements: Iterable[str], step: Step, lock_timeout: float, patience: float) -> tuple[str, ...]:
    """The *statements* of *step* as they can be pasted, each with its semicolon; see `script_of`."""
    body = tuple(f"{statement};" for statement in statements)
    if not step.in_transaction:
        return (f"SET lock_timeout = '{milliseconds(patience)}';", *body, "RESET lock_timeout;")
    locks = (f"LOCK TABLE {', '.join(step.locked)} IN ACCESS EXCLUSIVE MODE;",) if step.locked else ()
    return ("BEGIN;", f"SET LOCAL lock_timeout = '{milliseconds(lock_timeout)}';", *locks, *body, "COMMIT;")


def milliseconds(seconds: float) -> str:
    """As a setting has it: at least 1 ms, for 0 would mean without end."""
    return f"{max(1, round(seconds * 1000))}ms"


_SAME = ("id", "title", "lock", "scans", "builds", "guarded")


def to_stored(step: Step) -> dict[str, Any]:
    """*step* as JSON has it, in the form of version 0.1.0."""
    return {
        "id": step.id,
        "title": step.title,
        "statements": list(quoted_sql(step.actions)),
        "undo": list(quoted_sql(step.undo)),
        "transaction": step.in_transaction,
        "lock": step.lock,
        "scans": step.scans,
        "locked": list(step.locked),
        "builds": step.builds,
        "guarded": step.guarded,
        **({} if step.until is None else {"until": quoted_sql((step.until,))[0]}),
    }


def from_stored(stored: dict[str, Any], purpose: Purpose, table: QualifiedName) -> Step:
    """The step that `to_stored` gave *stored* of, about *table*; its actions are the stored statements."""
    actions, undo = (
        tuple(Stored(each, stored["transaction"]) for each in stored[name]) for name in ("statements", "undo")
    )
    rest = {name: stored[name] for name in _SAME}
    rest["until"] = Stored(stored["until"]) if "until" in stored else None
    return Step(purpose, table, table, None, actions, undo=undo, locked=tuple(stored["locked"]), **rest)


@sql.register
def _(action: actions.Stored, relation: Relation) -> str:
    return action.sql


# Whoever makes a partition, by a run, a migration or create_all(), marks it in the same breath: here nobody forgets it.
@sql.register
def _(action: actions.CreateTable, relation: Relation) -> tuple[str, ...]:
    # Indexes come with ATTACH; an identity column is the parent's alone, and PostgreSQL 17 refuses a second one.
    like = f"LIKE {relation(action.like)} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES"
    like += " EXCLUDING STATISTICS" * (action.without_statistics or action.bare)
    like += " EXCLUDING CONSTRAINTS EXCLUDING COMMENTS" * action.bare
    using = "" if action.access_method is None else f" USING {quote(action.access_method)}"
    place = "" if action.tablespace is None else f" TABLESPACE {quote(action.tablespace)}"
    options = f" WITH ({', '.join(action.options)})" if action.options else ""
    create = f"{_create(action)} {relation(action.name)} ({like}){_by(action)}{using}{options}{place}"
    return (create,) if action.bare else (create, _comment(relation(action.name), CREATED))


@sql.register
def _(action: actions.CreatePartition, relation: Relation) -> tuple[str, ...]:
    bound = for_values(action.bound, action.key.types)
    of = f"PARTITION OF {relation(action.parent)} {bound}{_by(action)}"
    return f"{_create(action)} {relation(action.name)} {of}", _comment(relation(action.name), CREATED)


def _create(action: actions.CreateTable | actions.CreatePartition) -> str:
    return "CREATE UNLOGGED TABLE" if action.unlogged else "CREATE TABLE"


def _by(action: actions.CreateTable | actions.CreatePartition) -> str:
    return f" PARTITION BY {action.partition_by}" if action.partition_by else ""


def _comment(table: str, comment: str | None) -> str:
    return f"COMMENT ON TABLE {table} IS {'NULL' if comment is None else text_literal(comment)}"


@sql.register
def _(action: actions.DropTable, relation: Relation) -> str:
    return f"DROP {'FOREIGN ' * action.foreign}TABLE {'IF EXISTS ' * action.if_exists}{relation(action.name)}"


@sql.register
def _(action: actions.DropPartition, relation: Relation) -> str:
    return f"DROP {'FOREIGN ' * action.foreign}TABLE {relation(action.name)}"


@sql.register
def _(action: actions.DropDetached, relation: Relation) -> str:
    return f"DROP TABLE {relation(action.table)}"


@sql.register
def _(action: actions.AttachPartition, relation: Relation) -> str:
    bound = for_values(action.bound, action.key.types)
    return f"ALTER TABLE {relation(action.parent)} ATTACH PARTITION {relation(action.partition)} {bound}"


@sql.register
def _(action: actions.DetachPartition, relation: Relation) -> str:
    detach = f"ALTER TABLE {relation(action.parent)} DETACH PARTITION {relation(action.partition)}"
    return f"{detach}{' CONCURRENTLY' * action.concurrently}"


@sql.register
def _(action: actions.FinalizeDetach, relation: Relation) -> str:
    return f"ALTER TABLE {relation(action.parent)} DETACH PARTITION {relation(action.partition)} FINALIZE"


@sql.register
def _(action: actions.DropInvalidIndex, relation: Relation) -> str:
    return f"DROP INDEX {relation(action.index)}"


@sql.register
def _(action: actions.MarkDetached, relation: Relation) -> str:
    bound = "" if action.bound is None or action.key is None else for_values(action.bound, action.key.types)
    mark = marked(action.parent, action.comment, action.at, bound, foreign=action.foreign, asked=action.asked)
    return _comment(relation(action.table), mark)


@sql.register
def _(action: actions.UnmarkDetached, relation: Relation) -> str:
    return _comment(relation(action.table), action.comment)


@sql.register
def _(action: actions.MarkAdopted, relation: Relation) -> str:
    return _comment(relation(action.table), adopted(action.at, action.comment))


@sql.register
def _(action: actions.ArchiveTable, relation: Relation) -> str:
    where = str(action.archive).replace("*/", "* /")
    return f"COPY (TABLE {relation(action.table)}) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *) /* {where} */"
