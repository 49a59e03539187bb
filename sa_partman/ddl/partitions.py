"""Making, attaching, detaching and dropping partitions; the marks that say whose they are."""

from __future__ import annotations

from sa_partman.bounds.text import for_values
from sa_partman.ddl.render import Relation, sql
from sa_partman.marks import CREATED, adopted, marked
from sa_partman.names import quote, text_literal
from sa_partman.plan import actions


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
