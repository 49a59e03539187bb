"""What makes another table the same as one: columns, keys, sequences, triggers, comments, privileges, statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.actions import Action, CreateTable, Stored
from sa_partman.plan.provision import statistics_name
from sa_partman.plan.table_actions import (
    AddConstraint,
    AddIdentity,
    AddPrimaryKey,
    ChangeOwner,
    Comment,
    ContinueSequence,
    CreateIndex,
    CreatePolicy,
    CreateStatistics,
    DropPolicy,
    GrantPrivileges,
    Kind,
    OwnSequence,
    Publish,
    Rename,
    RevokePrivileges,
    SetColumn,
    SetIndexColumnTarget,
    SetIndexTablespace,
    SetReplicaIdentity,
    SetRowSecurity,
    SetStatisticsTarget,
    SetStorage,
    SetTrigger,
    Subject,
    Unpublish,
)
from sa_partman.table.definition import (
    HERE,
    Column,
    Constraint,
    ExtendedStatistics,
    Index,
    ObjectPrivileges,
    OwnedSequence,
    Policy,
    TableDefinition,
)
from sa_partman.table.membership import STATISTICS, ColumnSetting

Actions = Iterator[Action]


def temporary(name: str) -> str:
    """What an index, constraint or sequence is called until the original lets go of its name."""
    return join_name(name, "pnew")


def history_name(name: str) -> str:
    """What an index or constraint of the history is called, once the partitioned table bears its name."""
    return join_name(name, "history")


def beside(sequence: OwnedSequence | ExtendedStatistics) -> QualifiedName:
    """What its successor is called until it lets go of its name."""
    return sequence.name.sibling(temporary(sequence.name.name))


def temporary_names(definition: TableDefinition, indexes: Iterable[str]) -> Iterator[QualifiedName]:
    """The names of relations that are made for *indexes* and identity columns, until they get their own."""
    yield from (definition.name.sibling(temporary(name)) for name in indexes)
    yield from (beside(each) for each in definition.sequences if each.identity)


def commented(
    kind: Subject, name: QualifiedName, comment: str | None, part: str | None = None, before: str | None = None
) -> Actions:
    """
    Gives it *comment*; see `Comment`.

    Args:
        before: What it has.
    """
    if comment != before:
        yield Comment(kind, name, comment, part)


def create_like(
    definition: TableDefinition, new: QualifiedName, partition_by: str | None, *, without: str = ""
) -> Actions:
    """
    The bare table: columns, defaults, generated columns, NOT NULL, storage, CHECK constraints and their comments.

    Args:
        partition_by: None makes a plain table.
        without: A CHECK constraint that is not to be carried.
    """
    unlogged = definition.persistence == "u" and partition_by is None
    options = definition.options if partition_by is None else ()
    yield CreateTable(new, definition.name, partition_by, unlogged, definition.tablespace, options=options, bare=True)
    yield ChangeOwner(new, definition.owner)
    for each in definition.constraints:
        if each.kind == "c" and each.name != without:
            yield AddConstraint(new, each.name, each.definition)
        if each.kind in ("c", "n") and each.name != without:
            yield from commented("CONSTRAINT", new, each.comment, each.name)


# -- keys and indexes


def keys(
    definition: TableDefinition, new: QualifiedName, primary_key: tuple[str, ...], local: frozenset[str]
) -> Actions:
    """
    The primary key, unique constraints and indexes, under temporary names.

    Args:
        primary_key: The columns wanted; none for no primary key.
        local: Names that stay behind.
    """
    if primary_key:
        present = definition.primary_key
        name = temporary(primary_key_name(definition))
        yield AddPrimaryKey(new, name, primary_key, _included(present, primary_key), _options(present))
        if present is not None:
            yield from _index_settings(definition, present, new, name)
    for index in carried(definition, local):
        name = temporary(index.name)
        if index.constraint is not None:
            written = next(each.definition for each in definition.constraints if each.name == index.constraint)
            yield AddConstraint(new, name, written, index.options)
        else:
            yield CreateIndex(new, name, index.tail, unique=index.unique)
        yield from _index_settings(definition, index, new, name)


def build_key_index(
    definition: TableDefinition, table: QualifiedName, name: str, primary_key: tuple[str, ...], *, concurrently: bool
) -> CreateIndex:
    """The index *name* for a primary key to come, stored as the one of *definition* is."""
    present = definition.primary_key
    return CreateIndex(
        table,
        name,
        columns=primary_key,
        included=_included(present, primary_key),
        options=_options(present),
        tablespace=None if present is None else present.tablespace,
        unique=True,
        concurrently=concurrently,
    )


def _included(present: Index | None, primary_key: tuple[str, ...]) -> tuple[str, ...]:
    """What the present primary key includes beside its own columns."""
    return () if present is None else tuple(each for each in present.included if each not in primary_key)


def _options(index: Index | None) -> tuple[str, ...]:
    return () if index is None else index.options


def _index_settings(definition: TableDefinition, index: Index, new: QualifiedName, name: str) -> Actions:
    if index.tablespace is not None:
        yield SetIndexTablespace(new.sibling(name), index.tablespace)
    yield from commented("INDEX", new.sibling(name), index.comment)
    for each in definition.constraints:
        if each.name == index.constraint:
            yield from commented("CONSTRAINT", new, each.comment, name)


def index_targets(definition: TableDefinition, new: QualifiedName, local: frozenset[str]) -> Actions:
    """The statistics targets of expressions in the indexes of `keys`, and in the parts that partitions have by now."""
    for index in carried(definition, local):
        for number, target in index.targets:
            yield SetIndexColumnTarget(new.sibling(temporary(index.name)), number, target)


def primary_key_name(definition: TableDefinition) -> str:
    present = definition.primary_key
    return present.name if present is not None else join_name(definition.name.name, "pkey")


def carried(definition: TableDefinition, local: frozenset[str] = frozenset()) -> tuple[Index, ...]:
    """The indexes that the other table gets, the primary key left out."""
    return tuple(index for index in definition.indexes if index.kind != "p" and index.name not in local)


def take_names(
    definition: TableDefinition, primary_key: tuple[str, ...], local: frozenset[str] = frozenset()
) -> Actions:
    """What `keys` and `extended_statistics` made gets the names that are free now."""
    names = [primary_key_name(definition)] if primary_key else []
    for name in (*names, *(index.name for index in carried(definition, local))):
        yield Rename("INDEX", definition.name.sibling(temporary(name)), name)
    for each in definition.statistics:
        yield Rename("STATISTICS", beside(each), each.name.name)


# -- sequences, triggers, and what refers to the table


def identities(definition: TableDefinition, new: QualifiedName) -> Actions:
    """Identity columns, each with a sequence like the present one under a temporary name."""
    for sequence in definition.sequences:
        if sequence.identity:
            yield from add_identity(definition, new, sequence)


def add_identity(definition: TableDefinition, table: QualifiedName, like: OwnedSequence) -> Actions:
    """Makes a column of *table* an identity column, with a sequence *like* that one under a temporary name."""
    name = beside(like)
    yield AddIdentity(table, like.column, definition.column(like.column).identity == "a", name, like.options)
    yield from granted(like.privileges, name, "SEQUENCE")
    yield from commented("SEQUENCE", name, like.comment)


def sequences(definition: TableDefinition, table: QualifiedName, *, identity: bool = False) -> Actions:
    """
    Sequences go on where they are, and belong to *table*.

    Args:
        identity: Make the columns of *table* identity columns first.
    """
    for each in definition.sequences:
        if each.identity:
            yield from add_identity(definition, table, each) if identity else ()
            yield ContinueSequence(beside(each), each.name)
        else:
            yield OwnSequence(each.name, table, each.column)


def take_sequence_names(definition: TableDefinition) -> Actions:
    for each in definition.sequences:
        if each.identity:
            yield Rename("SEQUENCE", beside(each), each.name.name)


def triggers(definition: TableDefinition, new: QualifiedName) -> Actions:
    for trigger in definition.triggers:
        yield Stored(trigger.definition.replace(HERE, new.quoted))
        if trigger.enabled != "O":
            yield SetTrigger(new, trigger.name, trigger.enabled)
        yield from commented("TRIGGER", new, trigger.comment, trigger.name)


def restored(definition: TableDefinition) -> Actions:
    """What referred to the table by its oid refers to the one that bears its name now."""
    return (Stored(statement) for dependent in definition.dependents for statement in dependent.restore)


def published(definition: TableDefinition, before: QualifiedName, after: QualifiedName) -> Actions:
    """*after* takes the place of *before* in its publications."""
    for each in definition.publications:
        yield Unpublish(before, each)
        yield Publish(after, each)


def foreign_keys(constraints: Iterable[Constraint], table: QualifiedName, *, validated: bool = True) -> Actions:
    for each in constraints:
        yield AddConstraint(table, each.name, each.definition, validated=validated)
        yield from commented("CONSTRAINT", table, each.comment, each.name)


# -- what a table says and allows


def granted(
    privileges: ObjectPrivileges, name: QualifiedName, kind: Kind = "TABLE", also: Iterable[str] = ()
) -> Actions:
    """
    Gives *name*, which belongs to the same owner, exactly these privileges.

    Args:
        name: It is new, or has privileges of nobody but *also*.
        also: Quoted: others who have privileges on it.
    """
    others = dict.fromkeys((*privileges.strangers, *also))
    if privileges.untouched and not others:
        return
    everybody = dict.fromkeys(("PUBLIC", privileges.owner, *others))
    yield RevokePrivileges(name, ", ".join(everybody), ("ALL",), kind=kind)
    for grant in privileges.grants:
        grantable = grant.grantable and grant.grantee != privileges.owner
        yield GrantPrivileges(name, grant.grantee, (grant.privilege,), grant.column, grantable, kind)


def table_settings(definition: TableDefinition, new: QualifiedName) -> Actions:
    """Comments, statistics targets, grants, row security and policies of the new table."""
    for column, comment in definition.comments:
        yield from _column_comment(new, column, comment)
    yield from member_settings(definition, new)


def _column_comment(
    table: QualifiedName, column: str | None, comment: str | None, before: str | None = None
) -> Actions:
    """Of the table itself, if *column* is None."""
    return commented("TABLE" if column is None else "COLUMN", table, comment, column, before)


def member_settings(definition: TableDefinition, table: QualifiedName) -> Actions:
    """What every table of the tree has for itself, for nothing of it is inherited."""
    for column in definition.columns:
        if column.statistics >= 0:
            yield _target(table, column)
        if column.options:
            yield SetStorage(table, column.options, column=column.name)
    yield from granted(definition.privileges, table)
    if definition.row_security:
        yield SetRowSecurity(table, on=True)
    if definition.force_row_security:
        yield SetRowSecurity(table, on=True, forced=True)
    for policy in definition.policies:
        if not policy.reads_itself:
            yield from _policy(policy, table)
    # That of an index is per partition.
    if definition.replica_identity in ("f", "n"):
        yield SetReplicaIdentity(table, definition.replica_identity)


def _target(table: QualifiedName, column: Column) -> SetColumn:
    return SetColumn(table, ColumnSetting(column.name, STATISTICS, str(column.statistics)))


def late_policies(definition: TableDefinition, table: QualifiedName) -> Actions:
    """Policies that read the table itself: they can be made once the new one bears the name."""
    for policy in definition.policies:
        if policy.reads_itself:
            yield from _policy(policy, table)


def _policy(policy: Policy, table: QualifiedName) -> Actions:
    yield CreatePolicy(table, policy)
    yield from commented("POLICY", table, policy.comment, policy.name)


def leaf_settings(definition: TableDefinition, leaf: QualifiedName, *, divided: bool = False) -> Actions:
    """
    What a partition does not take over from its partitioned table by itself.

    Args:
        divided: It is partitioned itself, and has no storage.
    """
    yield ChangeOwner(leaf, definition.owner)
    if definition.options and not divided:
        yield SetStorage(leaf, definition.options)
    yield from member_settings(definition, leaf)
    for each in definition.statistics:  # the planner looks at the statistics of each by itself
        name = statistics_name(leaf, each.name.name)
        yield from create_statistics(replace(each, comment=None), name, leaf, definition.owner)


def extended_statistics(definition: TableDefinition, new: QualifiedName) -> Actions:
    """CREATE STATISTICS under temporary names."""
    for each in definition.statistics:
        yield from create_statistics(each, beside(each), new, definition.owner)


def create_statistics(like: ExtendedStatistics, name: QualifiedName, table: QualifiedName, owner: str) -> Actions:
    yield CreateStatistics(table, name, like.tail)
    yield ChangeOwner(name, owner, "STATISTICS")
    if like.target >= 0:
        yield SetStatisticsTarget(table, name, like.target)
    yield from commented("STATISTICS", name, like.comment)


def adopted(definition: TableDefinition, table: TableDefinition, name: QualifiedName) -> Actions:
    """
    What *table* has to change to say and allow what *definition* does now.

    Args:
        name: What *table* is called when that is done.
    """
    if table.owner != definition.owner:
        yield ChangeOwner(name, definition.owner)
    wanted, before = dict(definition.comments), dict(table.comments)
    for column in dict.fromkeys((*before, *wanted)):
        yield from _column_comment(name, column, wanted.get(column), before.get(column))
    yield from _columns_adopted(definition, table, name)
    if {*definition.privileges.grants} != {*table.privileges.grants}:
        yield from granted(definition.privileges, name, also=sorted({each.grantee for each in table.privileges.grants}))
    yield from _row_security_adopted(definition, table, name)
    if definition.replica_identity != table.replica_identity and definition.replica_identity != "i":
        yield SetReplicaIdentity(name, definition.replica_identity)


def _columns_adopted(definition: TableDefinition, table: TableDefinition, name: QualifiedName) -> Actions:
    for column in definition.columns:
        before = table.find(column.name) or Column(column.name, column.type, column.not_null)
        if column.statistics != before.statistics:
            yield _target(name, column)
        gone = tuple(option for option in before.options if option not in column.options)
        if gone:
            yield SetStorage(name, gone, unset=True, column=column.name)
        if column.options and column.options != before.options:
            yield SetStorage(name, column.options, column=column.name)


def _row_security_adopted(definition: TableDefinition, table: TableDefinition, name: QualifiedName) -> Actions:
    if definition.row_security != table.row_security:
        yield SetRowSecurity(name, definition.row_security)
    if definition.force_row_security != table.force_row_security:
        yield SetRowSecurity(name, definition.force_row_security, forced=True)
    for policy in table.policies:
        if policy not in definition.policies:
            yield DropPolicy(name, policy.name)
    for policy in definition.policies:
        if policy not in table.policies:
            yield from _policy(policy, name)
