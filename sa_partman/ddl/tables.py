"""What a table has for itself, and what hangs on it: privileges, policies, constraints, indexes, sequences."""

from __future__ import annotations

import re

from sa_partman.ddl.render import Relation, set_role, sql
from sa_partman.names import QualifiedName, quote, text_literal
from sa_partman.plan import table_actions as actions
from sa_partman.table.definition import HERE, NAME
from sa_partman.table.membership import REPLICA, STATISTICS


@sql.register
def _(action: actions.ChangeOwner, relation: Relation) -> str:
    return f"ALTER {action.kind} {relation(action.table)} OWNER TO {quote(action.owner)}"


@sql.register
def _(action: actions.GrantPrivileges, relation: Relation) -> str:
    option = " WITH GRANT OPTION" if action.grantable else ""
    return f"GRANT {_privileges(action, relation)} TO {action.grantee}{option}"


@sql.register
def _(action: actions.RevokePrivileges, relation: Relation) -> str:
    cascade = " CASCADE" if action.grantable else ""
    return f"REVOKE {_privileges(action, relation)} FROM {action.grantee}{cascade}"


def _privileges(action: actions.GrantPrivileges | actions.RevokePrivileges, relation: Relation) -> str:
    column = "" if action.column is None else f" ({quote(action.column)})"
    listed = ", ".join(privilege + column for privilege in action.privileges)
    return f"{listed} ON {action.kind} {relation(action.table)}"


@sql.register
def _(action: actions.SetRowSecurity, relation: Relation) -> str:
    verb = ("FORCE" if action.on else "NO FORCE") if action.forced else ("ENABLE" if action.on else "DISABLE")
    return f"ALTER TABLE {relation(action.table)} {verb} ROW LEVEL SECURITY"


@sql.register
def _(action: actions.CreatePolicy, relation: Relation) -> str:
    policy = action.policy
    kind = "PERMISSIVE" if policy.permissive else "RESTRICTIVE"
    using = "" if policy.using is None else f" USING ({_here(policy.using, action.table)})"
    check = "" if policy.check is None else f" WITH CHECK ({_here(policy.check, action.table)})"
    return (
        f"CREATE POLICY {quote(policy.name)} ON {relation(action.table)} AS {kind} "
        f"FOR {policy.command} TO {', '.join(policy.roles)}{using + check}"
    )


def _here(expression: str, table: QualifiedName) -> str:
    return expression.replace(NAME, quote(table.name))


@sql.register
def _(action: actions.DropPolicy, relation: Relation) -> str:
    return f"DROP POLICY {quote(action.policy)} ON {relation(action.table)}"


@sql.register
def _(action: actions.SetReplicaIdentity, relation: Relation) -> str:
    alter = f"ALTER TABLE {relation(action.table)} REPLICA IDENTITY"
    if action.index is None:
        return f"{alter} {REPLICA[action.identity]}"
    named = f"{text_literal(f'{alter} USING INDEX ')} || pg_catalog.quote_ident(c.relname)"
    return _of_part(named, action.table, action.index, relation)


def _of_part(statement: str, table: QualifiedName, index: QualifiedName, relation: Relation) -> str:
    """*statement* over the part ``c`` of *index* that *table* has: the server named it when it was attached."""
    part = (
        f"SELECT {statement} "
        f"FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid "
        f"WHERE x.indrelid = {_regclass(relation(table))} "
        f"AND pg_catalog.pg_partition_root(x.indexrelid) = {_regclass(relation(index))}"
    )
    return f"DO {text_literal(f'BEGIN EXECUTE ({part}); END')}"


def _regclass(printed: str) -> str:
    return f"{text_literal(printed)}::pg_catalog.regclass"


@sql.register
def _(action: actions.SetStorage, relation: Relation) -> str:
    verb = "RESET" if action.unset else "SET"
    named = (option.partition("=")[0] if action.unset else option for option in action.options)
    return f"{_column(action.table, action.column, relation)} {verb} ({', '.join(named)})"


@sql.register
def _(action: actions.SetColumn, relation: Relation) -> str:
    setting = action.setting
    told = f"STATISTICS {setting.value}" if setting.name == STATISTICS else f"({setting.name} = {setting.value})"
    return f"{_column(action.table, setting.column, relation)} SET {told}"


def _column(table: QualifiedName, column: str | None, relation: Relation) -> str:
    return f"ALTER TABLE {relation(table)}" + ("" if column is None else f" ALTER COLUMN {quote(column)}")


@sql.register
def _(action: actions.SetIndexTarget, relation: Relation) -> str:
    target = action.target
    sets = text_literal(f" ALTER COLUMN {target.number} SET STATISTICS {target.target}")
    named = f"'ALTER INDEX ' || c.oid::pg_catalog.regclass || {sets}"
    return _of_part(named, action.table, target.index, relation)


_KINDS = {"d": "ndistinct", "f": "dependencies", "m": "mcv"}


@sql.register
def _(action: actions.CreateStatistics, relation: Relation) -> str:
    like = action.like
    if isinstance(like, str):
        return f"CREATE STATISTICS {relation(action.name)}{like.replace(HERE, relation(action.table))}"
    kinds = f" ({', '.join(_KINDS[kind] for kind in like.kinds)})" if like.kinds else ""
    subjects = ", ".join((*map(quote, like.columns), *(f"({each})" for each in like.expressions)))
    name = relation(action.name)
    return f"CREATE STATISTICS {name}{kinds} ON {subjects} FROM {relation(action.table)}"


@sql.register
def _(action: actions.SetStatisticsTarget, relation: Relation) -> str:
    return f"ALTER STATISTICS {relation(action.name)} SET STATISTICS {action.target}"


@sql.register(actions.Publish)
@sql.register(actions.Unpublish)
def _(action: actions.Publish | actions.Unpublish, relation: Relation) -> tuple[str, ...]:
    does = f"ADD TABLE {relation(action.table)}{action.publication.tail}"
    if isinstance(action, actions.Unpublish):
        does = f"DROP TABLE {relation(action.table)}"
    change = f"ALTER PUBLICATION {quote(action.publication.name)} {does}"
    return (set_role(None), change) if action.as_connected else (change,)


@sql.register
def _(action: actions.ExceptTables, relation: Relation) -> str:
    listed = ", ".join(f"TABLE {each}" for each in (*map(relation, action.tables), *action.others))
    return f"ALTER PUBLICATION {quote(action.publication)} SET ALL TABLES EXCEPT ({listed})"


@sql.register
def _(action: actions.Rename, relation: Relation) -> str:
    return f"ALTER {action.kind} {relation(action.name)} RENAME TO {quote(action.to)}"


@sql.register
def _(action: actions.Comment, relation: Relation) -> str:
    name = relation(action.name)
    if action.part is not None:
        name = f"{name}.{quote(action.part)}" if action.kind == "COLUMN" else f"{quote(action.part)} ON {name}"
    return f"COMMENT ON {action.kind} {name} IS {'NULL' if action.comment is None else text_literal(action.comment)}"


# -- constraints


@sql.register
def _(action: actions.AddConstraint, relation: Relation) -> str:
    definition = f"{action.definition}{_with(action.options)}"
    return f"{_constraint(action, relation)} {definition}{'' if action.validated else ' NOT VALID'}"


@sql.register
def _(action: actions.AddCheck, relation: Relation) -> str:
    return f"{_constraint(action, relation)} CHECK ({action.predicate}){'' if action.validated else ' NOT VALID'}"


@sql.register
def _(action: actions.AddPrimaryKey, relation: Relation) -> str:
    columns = _key(action.columns, action.included)
    ready = None if action.index is None else f"USING INDEX {quote(action.index)}"
    return f"{_constraint(action, relation)} PRIMARY KEY {ready or columns + _with(action.options)}"


@sql.register
def _(action: actions.AddForeignKey, relation: Relation) -> str:
    some = f" ({_columns(action.setting)})" if action.setting else ""
    tail = _SETS.sub(lambda found: found.group() + some, action.tail)
    refers = f"REFERENCES {relation(action.references)} ({_columns(action.referenced)}){tail}"
    return f"{_constraint(action, relation)} FOREIGN KEY ({_columns(action.columns)}) {refers} NOT VALID"


_SETS = re.compile(r"ON DELETE SET (NULL|DEFAULT)(?! \()")


_Constraint = actions.AddConstraint | actions.AddCheck | actions.AddPrimaryKey | actions.AddForeignKey


def _constraint(action: _Constraint, relation: Relation) -> str:
    return f"ALTER TABLE {relation(action.table)} ADD CONSTRAINT {quote(action.name)}"


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(map(quote, names))


def _key(columns: tuple[str, ...], included: tuple[str, ...]) -> str:
    return f"({_columns(columns)})" + (f" INCLUDE ({_columns(included)})" if included else "")


def _with(options: tuple[str, ...]) -> str:
    return f" WITH ({', '.join(options)})" if options else ""


@sql.register
def _(action: actions.ValidateConstraint, relation: Relation) -> str:
    return f"ALTER TABLE {relation(action.table)} VALIDATE CONSTRAINT {quote(action.name)}"


@sql.register
def _(action: actions.DropConstraint, relation: Relation) -> str:
    return f"ALTER TABLE {relation(action.table)} DROP CONSTRAINT {'IF EXISTS ' * action.if_exists}{quote(action.name)}"


@sql.register
def _(action: actions.SetLogged, relation: Relation) -> str:
    return f"ALTER TABLE {relation(action.table)} SET {'LOGGED' if action.on else 'UNLOGGED'}"


@sql.register
def _(action: actions.SetNotNull, relation: Relation) -> str:
    return f"{_column(action.table, action.column, relation)} {'SET' if action.on else 'DROP'} NOT NULL"


# -- indexes


@sql.register
def _(action: actions.CreateIndex, relation: Relation) -> str:
    place = "" if action.tablespace is None else f" TABLESPACE {quote(action.tablespace)}"
    tail = action.tail or f"{_key(action.columns, action.included)}{_with(action.options)}{place}"
    create = f"CREATE {'UNIQUE ' * action.unique}INDEX {'CONCURRENTLY ' * action.concurrently}{quote(action.name)}"
    return f"{create} ON {relation(action.table)} {tail}"


@sql.register
def _(action: actions.DropIndex, relation: Relation) -> str:
    how = "CONCURRENTLY " * action.concurrently + "IF EXISTS " * action.if_exists
    return f"DROP INDEX {how}{relation(action.index)}"


@sql.register
def _(action: actions.SetIndexTablespace, relation: Relation) -> str:
    return f"ALTER INDEX {relation(action.index)} SET TABLESPACE {quote(action.tablespace)}"


@sql.register
def _(action: actions.SetIndexColumnTarget, relation: Relation) -> str:
    return f"ALTER INDEX {relation(action.index)} ALTER COLUMN {action.number} SET STATISTICS {action.target}"


# -- sequences and triggers


@sql.register
def _(action: actions.AddIdentity, relation: Relation) -> str:
    when = "ALWAYS" if action.always else "BY DEFAULT"
    sequence = f"SEQUENCE NAME {relation(action.sequence)} {action.options}"
    return f"{_column(action.table, action.column, relation)} ADD GENERATED {when} AS IDENTITY ({sequence})"


@sql.register
def _(action: actions.DropIdentity, relation: Relation) -> str:
    return f"{_column(action.table, action.column, relation)} DROP IDENTITY"


@sql.register
def _(action: actions.ContinueSequence, relation: Relation) -> str:
    name = relation(action.sequence).replace("'", "''")
    return f"SELECT setval('{name}', last_value, is_called) FROM {relation(action.other)}"


@sql.register
def _(action: actions.OwnSequence, relation: Relation) -> str:
    return f"ALTER SEQUENCE {relation(action.sequence)} OWNED BY {relation(action.table)}.{quote(action.column)}"


_FIRES = {"D": "DISABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@sql.register
def _(action: actions.SetTrigger, relation: Relation) -> str:
    return f"ALTER TABLE {relation(action.table)} {_FIRES[action.mode]} TRIGGER {quote(action.trigger)}"


@sql.register
def _(action: actions.DropTrigger, relation: Relation) -> str:
    return f"DROP TRIGGER {quote(action.trigger)} ON {relation(action.table)}"


# -- what the planner knows


@sql.register
def _(action: actions.Analyze, relation: Relation) -> str:
    return f"ANALYZE {'ONLY ' * action.only}{relation(action.table)}"


_SCALARS = (
    "null_frac",
    "avg_width",
    "n_distinct",
    "most_common_freqs",
    "correlation",
    "most_common_elem_freqs",
    "elem_count_histogram",
    "range_empty_frac",
)
# Of the column's own type, or of its elements': they travel as text.
_VALUES = (
    "most_common_vals",
    "histogram_bounds",
    "most_common_elems",
    "range_length_histogram",
    "range_bounds_histogram",
)


@sql.register
def _(action: actions.CopyEstimates, relation: Relation) -> tuple[str, ...]:
    """As ``pg_dump --statistics`` writes it."""
    table, history = action.table, action.history
    taken = [f"'{name}', s.{name}" for name in _SCALARS] + [f"'{name}', CAST(s.{name} AS text)" for name in _VALUES]
    columns = (
        f"SELECT pg_catalog.pg_restore_attribute_stats({_relation(table)}, 'attname', CAST(s.attname AS text), "
        f"'inherited', true, {', '.join(taken)}) FROM pg_catalog.pg_stats s "
        f"WHERE s.schemaname = {text_literal(str(history.schema))} AND s.tablename = {text_literal(history.name)} "
        f"AND NOT s.inherited"
    )
    rows = (
        f"SELECT pg_catalog.pg_restore_relation_stats({_relation(table)}, 'relpages', CAST(-1 AS int), "
        f"'reltuples', c.reltuples) FROM pg_catalog.pg_class c "
        f"WHERE c.oid = CAST({text_literal(relation(history))} AS regclass)"
    )
    return columns, rows


def _relation(table: QualifiedName) -> str:
    return f"'schemaname', {text_literal(str(table.schema))}, 'relname', {text_literal(table.name)}"
