"""
Membership: what a table has for itself and its partitions do not take over: owner, privileges, row security, policies,
replica identity, tablespace, access method, publications, and what the planner is told of columns, of expressions in
indexes and by extended statistics. And how a partition differs from its table in it.

docs/members.md lists every column of the catalogs: copied, inherited or left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sa_partman.names import QualifiedName, quote
from sa_partman.table.definition import Grant, Policy, Publication

REPLICA = {"d": "DEFAULT", "f": "FULL", "n": "NOTHING", "i": "USING INDEX"}
"""``pg_class.relreplident``, as ALTER TABLE writes it."""


@dataclass(frozen=True, slots=True)
class ColumnSetting:
    """
    What the planner is told of a column.

    Args:
        name: `STATISTICS`, or an option such as "n_distinct".
    """

    column: str
    name: str
    value: str

    def __str__(self) -> str:
        return f"statistics {self.value}" if self.name == STATISTICS else f"{self.name}={self.value}"


STATISTICS = "statistics"
"""The name of a statistics target among the settings of a column."""


@dataclass(frozen=True, slots=True)
class IndexTarget:
    """
    The statistics target of an expression in an index.

    Args:
        index: The topmost of the partitioned indexes that it belongs to.
        number: Of the index's column, from 1.
        target: -1: the default one.
    """

    index: QualifiedName
    number: int
    target: int


@dataclass(frozen=True, slots=True)
class MemberStatistics:
    """
    Extended statistics of a table.

    Args:
        kinds: "d" ndistinct, "f" dependencies, "m" mcv; sorted; none for those of one expression.
        columns: Sorted.
        expressions: As the server prints them, sorted.
        target: -1: the default one.
        name: The object's own.
    """

    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    expressions: tuple[str, ...]
    target: int = -1
    name: QualifiedName = field(default=QualifiedName(None, ""), compare=False)

    @property
    def subject(self) -> tuple[tuple[str, ...], ...]:
        """What they are about, whatever their target."""
        return self.kinds, self.columns, self.expressions


@dataclass(frozen=True, slots=True)
class Member:
    """
    What one table has for itself.

    Args:
        owner: Unquoted.
        grants: The owner's own privileges too.
        replica_identity: "d", "f", "n", or "i" with *replica_index*.
        replica_index: The topmost of the partitioned indexes that the identity's index belongs to.
        tablespace: None: the database's default one.
        access_method: None: the table has no storage and names none.
        publications: That name the table itself.
        columns: Those that somebody set.
        indexes: Of a partition: of all expressions in its parts of partitioned indexes.
        statistics: Its extended ones.
        passed_on: A privilege was granted by somebody other than the owner.
        divided: It is partitioned itself.
        reachable: The connected role has the rights of the owner.
    """

    owner: str
    grants: frozenset[Grant] = frozenset()
    row_security: bool = False
    force_row_security: bool = False
    policies: frozenset[Policy] = frozenset()
    replica_identity: str = "d"
    replica_index: QualifiedName | None = None
    tablespace: str | None = None
    access_method: str | None = None
    publications: frozenset[Publication] = frozenset()
    columns: frozenset[ColumnSetting] = frozenset()
    indexes: frozenset[IndexTarget] = frozenset()
    statistics: frozenset[MemberStatistics] = frozenset()
    passed_on: bool = field(default=False, compare=False)
    divided: bool = field(default=False, compare=False)
    reachable: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Membership:
    """
    What every partition of one table should have.

    Args:
        table: What the table itself has.
        fresh: What default privileges give to a new table of its owner.
        leaf_publications: That name at least half of its leaves, and neither the table nor all tables.
        branch_publications: The same for partitions that are partitioned themselves.
        options: The storage parameters of a new leaf; the table can have none.
        lacking: GRANT statements without which no full member can be made.
    """

    table: Member
    fresh: frozenset[Grant] = frozenset()
    leaf_publications: frozenset[Publication] = frozenset()
    branch_publications: frozenset[Publication] = frozenset()
    options: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    def wanted(self, *, divided: bool) -> Member:
        """What a partition should have; *divided*: one that is partitioned itself."""
        named = self.branch_publications if divided else self.leaf_publications
        return replace(self.table, publications=named, divided=divided)

    def new(self, *, divided: bool) -> Member:
        """What a partition has that the owner just made, in the table's tablespace."""
        return Member(
            self.table.owner,
            self.fresh,
            tablespace=self.table.tablespace,
            access_method=self.table.access_method,
            indexes=frozenset(replace(each, target=-1) for each in self.table.indexes),
            divided=divided,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One thing in which a partition differs from what it should have.

    Args:
        what: In words; the same for all partitions that differ alike.
        exposes: More can be read or written through the partition than through its table.
        moves: Mending it would rewrite the partition, so it is reported only.
    """

    what: str
    exposes: bool = False
    moves: bool = False


def differences(have: Member, want: Member) -> Iterator[Difference]:
    """In which *have* is not as *want*; nothing when it is a full member."""
    if have.owner != want.owner:
        yield Difference(f"belongs to {have.owner}, not to {want.owner}")
    yield from _access(have, want)
    if have.row_security != want.row_security:
        verb = "lacks" if want.row_security else "has"
        yield Difference(f"{verb} row level security", exposes=want.row_security)
    if have.force_row_security != want.force_row_security:
        verb = "lacks" if want.force_row_security else "has"
        yield Difference(f"{verb} FORCE ROW LEVEL SECURITY", exposes=want.row_security and want.force_row_security)
    yield from _policies(have, want)
    if (have.replica_identity, have.replica_index) != (want.replica_identity, want.replica_index):
        yield Difference(f"has REPLICA IDENTITY {_identity(have)}, not {_identity(want)}")
    for publication in sorted(want.publications - have.publications, key=lambda each: each.name):
        yield Difference(f"is missing from publication {publication.name}")
    yield from _planned(have, want)
    yield from _places(have, want)


def unsettled(have: Member, want: Member) -> list[ColumnSetting]:
    """
    Settings of columns that *have* lacks, by column.

    What the table says nothing of is a partition's own business: it may hold other data than the rest.
    """
    return sorted(want.columns - have.columns, key=lambda each: (each.column, each.name != STATISTICS, each.name))


def untargeted(have: Member, want: Member) -> list[IndexTarget]:
    """Targets of expressions in indexes that *have* has, with another target."""
    mine = {(each.index, each.number): each.target for each in have.indexes}
    other = (each for each in want.indexes if mine.get((each.index, each.number), each.target) != each.target)
    return sorted((each for each in other if each.target >= 0), key=lambda each: (str(each.index), each.number))


def unmeasured(have: Member, want: Member) -> list[tuple[MemberStatistics, MemberStatistics | None]]:
    """Extended statistics of the table that *have* lacks; with its own when only their target is another."""
    mine = {each.subject: each for each in sorted(have.statistics, key=lambda each: str(each.name))}
    lacking = sorted(want.statistics - have.statistics, key=lambda each: str(each.name))
    found = ((each, mine.get(each.subject)) for each in lacking)
    return [(each, own) for each, own in found if own is None or each.target >= 0]


def effective(have: Member, want: Member) -> frozenset[Grant]:
    """The grants of *have* without its owner's own, when the owners differ: those change hands with the table."""
    if have.owner == want.owner:
        return have.grants
    mine, theirs = quote(have.owner), quote(want.owner)
    return frozenset(replace(each, grantee=theirs) if each.grantee == mine else each for each in have.grants)


def _access(have: Member, want: Member) -> Iterator[Difference]:
    grants, owner = effective(have, want), quote(want.owner)
    extra, missing = grants - want.grants, want.grants - grants
    if extra:
        yield Difference(f"grants {_listed(extra)} beyond its table", exposes=any(g.grantee != owner for g in extra))
    if missing:
        yield Difference(f"lacks the grant of {_listed(missing)}")


def _listed(grants: frozenset[Grant]) -> str:
    """``SELECT, INSERT to "app"; ...``"""
    by: dict[str, list[str]] = {}
    for each in sorted(grants, key=lambda grant: (grant.grantee, grant.column or "", grant.privilege)):
        column = "" if each.column is None else f" ({each.column})"
        by.setdefault(each.grantee, []).append(each.privilege + column + " WITH GRANT OPTION" * each.grantable)
    return "; ".join(f"{', '.join(privileges)} to {grantee}" for grantee, privileges in by.items())


def _policies(have: Member, want: Member) -> Iterator[Difference]:
    before, after = {each.name: each for each in have.policies}, {each.name: each for each in want.policies}
    for name in sorted({*before, *after}):
        mine, theirs = before.get(name), after.get(name)
        if mine is None and theirs is not None:
            yield Difference(f"lacks policy {name}", exposes=want.row_security and not theirs.permissive)
        elif theirs is None and mine is not None:
            yield Difference(
                f"has policy {name}, which its table has not", exposes=want.row_security and mine.permissive
            )
        elif mine != theirs:
            yield Difference(f"has another policy {name} than its table", exposes=want.row_security)


def _identity(member: Member) -> str:
    index = "" if member.replica_index is None else f" {member.replica_index.name}"
    return REPLICA[member.replica_identity] + index


def _places(have: Member, want: Member) -> Iterator[Difference]:
    if have.tablespace != want.tablespace:
        yield Difference(f"is in {_tablespace(have)}, its table in {_tablespace(want)}", moves=True)
    if want.access_method is not None and have.access_method != want.access_method:
        yield Difference(f"has the access method {have.access_method}, its table {want.access_method}", moves=True)


def _planned(have: Member, want: Member) -> Iterator[Difference]:
    """What the planner is told of the table and not of the partition."""
    by: dict[str, list[str]] = {}
    for each in unsettled(have, want):
        by.setdefault(each.column, []).append(str(each))
    for column, settings in by.items():
        yield Difference(f"lacks {', '.join(settings)} of the column {column}")
    for target in untargeted(have, want):
        yield Difference(f"lacks statistics {target.target} of column {target.number} of the index {target.index.name}")
    for like, own in unmeasured(have, want):
        wanted = f"statistics {like.target} of " if own is not None else ""
        yield Difference(f"lacks {wanted}the extended statistics {like.name.name}")


def _tablespace(member: Member) -> str:
    return "the default tablespace" if member.tablespace is None else f"tablespace {member.tablespace}"
