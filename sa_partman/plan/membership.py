"""Makes new partitions full members of their table, in the step that creates them; and mends those that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sa_partman.bounds.bound import OrderKey, RangeBound, row_order
from sa_partman.catalog import Parent, Partition, Privileges
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.actions import Action, AttachPartition, CreatePartition, CreateTable
from sa_partman.plan.provision import statistics_name
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    ChangeOwner,
    CreatePolicy,
    CreateStatistics,
    DropPolicy,
    GrantPrivileges,
    MemberAction,
    Publish,
    RevokePrivileges,
    SetColumn,
    SetIndexTarget,
    SetReplicaIdentity,
    SetRowSecurity,
    SetStatisticsTarget,
    SetStorage,
)
from sa_partman.table.definition import Grant
from sa_partman.table.membership import Member, Membership, effective, unmeasured, unsettled, untargeted

MAKING = (Purpose.PROVISION, Purpose.REGRID)
"""Purposes whose tables have to belong to the owner."""


def makes(step: Step) -> bool:
    """Whether *step* makes a table that is to be a member."""
    return any(isinstance(action, CreateTable | CreatePartition) for action in step.actions)


def by_owner(step: Step, privileges: Privileges) -> Step:
    """
    *step*, done by the table's owner: what is created then belongs to the owner, whoever connected.

    Other steps are, only where the connected role has the owner's rights by SET ROLE alone.
    """
    needed = not privileges.is_same if step.purpose in MAKING else not privileges.is_owner
    return replace(step, role=privileges.owner) if needed else step


def as_members(step: Step, membership: Membership) -> Step:
    """*step*, with what makes each table that it creates a full member before anybody sees it."""
    creations = [action for action in step.actions if isinstance(action, CreateTable | CreatePartition)]
    divided = {action.name: action.partition_by is not None for action in creations}
    if not divided:
        return step
    last = {_subject(action): place for place, action in enumerate(step.actions) if _subject(action) in divided}
    actions: list[Action] = []
    published: list[Action] = []
    for place, action in enumerate(step.actions):
        name = _subject(action)
        if name is None or last.get(name) != place:
            actions.append(_placed(action, membership))
            continue
        changes = tuple(_changes_of_new(name, membership, divided=divided[name]))
        late = tuple(each for each in changes if is_late(each))
        published += [each for each in changes if isinstance(each, Publish)]
        before = [each for each in changes if each not in late and not isinstance(each, Publish)]
        here = _placed(action, membership)
        # Attached last: what moves rows into the table comes before its row security, which would stand in the way.
        actions += [*before, here, *late] if isinstance(here, AttachPartition) else [here, *before, *late]
    # A publication may need another role than the table, so they come last.
    return replace(step, actions=(*actions, *published))


def is_late(change: Action) -> bool:
    """Whether *change* is about the table's part of an index, which it gets when it is attached."""
    return isinstance(change, SetIndexTarget) or (isinstance(change, SetReplicaIdentity) and change.index is not None)


def _subject(action: Action) -> QualifiedName | None:
    """The table that *action* makes or attaches."""
    if isinstance(action, AttachPartition):
        return action.partition
    return action.name if isinstance(action, CreateTable | CreatePartition) else None


def _placed(action: Action, membership: Membership) -> Action:
    """
    A table made apart takes the place of its table by name; one that is made as a partition does by itself.

    Extended statistics would come without their target, and only from a table that has them itself.
    """
    if not isinstance(action, CreateTable):
        return action
    table = membership.table
    own = bool(table.statistics)
    return replace(action, tablespace=table.tablespace, access_method=table.access_method, without_statistics=own)


def _changes_of_new(name: QualifiedName, membership: Membership, *, divided: bool) -> Iterator[MemberAction]:
    if membership.options and not divided:
        yield SetStorage(name, membership.options)
    yield from changes(name, membership.new(divided=divided), membership.wanted(divided=divided))


def changes(name: QualifiedName, have: Member, want: Member) -> Iterator[MemberAction]:
    """What makes *have* as *want*; nothing that would rewrite the table."""
    if have.owner != want.owner:
        yield ChangeOwner(name, want.owner)
    yield from _grants(name, have, want)
    yield from _row_security(name, have, want)
    if (have.replica_identity, have.replica_index) != (want.replica_identity, want.replica_index):
        yield SetReplicaIdentity(name, want.replica_identity, want.replica_index)
    yield from _planned(name, have, want)
    for publication in sorted(want.publications - have.publications, key=lambda each: each.name):
        yield Publish(name, publication, as_connected=not publication.usable)


def _planned(name: QualifiedName, have: Member, want: Member) -> Iterator[MemberAction]:
    """What the planner is told."""
    for setting in unsettled(have, want):
        yield SetColumn(name, setting)
    for target in untargeted(have, want):
        yield SetIndexTarget(name, target)
    for like, own in unmeasured(have, want):
        if own is None:
            made = statistics_name(name, like.name.name)
            yield CreateStatistics(name, made, like)
            if like.target >= 0:
                yield SetStatisticsTarget(name, made, like.target)
        else:
            yield SetStatisticsTarget(name, own.name, like.target)


def _grants(name: QualifiedName, have: Member, want: Member) -> Iterator[MemberAction]:
    present = effective(have, want)
    if present == want.grants:
        return
    # What somebody else granted can't be revoked one by one.
    gone = present if have.passed_on else present - want.grants
    for grantee, column, grantable, privileges in _grouped(gone):
        yield RevokePrivileges(name, grantee, privileges, column, grantable or have.passed_on)
    whole = {(each.grantee, each.privilege) for each in gone if each.column is None}
    # To revoke a privilege on the table revokes it on its columns too.
    left = frozenset(each for each in present - gone if (each.grantee, each.privilege) not in whole)
    owner = quote(want.owner)
    for grantee, column, grantable, privileges in _grouped(want.grants - left):
        yield GrantPrivileges(name, grantee, privileges, column, grantable and grantee != owner)


def _grouped(grants: Iterable[Grant]) -> Iterator[tuple[str, str | None, bool, tuple[str, ...]]]:
    """By grantee, column and option; whole tables first."""
    by: dict[tuple[str, str, bool], list[str]] = {}
    for each in sorted(grants, key=lambda grant: (grant.column or "", grant.grantee, grant.privilege)):
        by.setdefault((each.column or "", each.grantee, each.grantable), []).append(each.privilege)
    for (column, grantee, grantable), privileges in by.items():
        yield grantee, column or None, grantable, tuple(privileges)


def _row_security(name: QualifiedName, have: Member, want: Member) -> Iterator[MemberAction]:
    for policy in sorted(have.policies - want.policies, key=lambda each: each.name):
        yield DropPolicy(name, policy.name)
    for policy in sorted(want.policies - have.policies, key=lambda each: each.name):
        yield CreatePolicy(name, policy)
    if have.row_security != want.row_security:
        yield SetRowSecurity(name, want.row_security)
    if have.force_row_security != want.force_row_security:
        yield SetRowSecurity(name, want.force_row_security, forced=True)


def newest_leaf(parent: Parent) -> Partition | None:
    """The leaf with the highest bound that holds rows of its own; the default partition only if there is no other."""
    if not parent.partitions:
        return None
    highest = max(parent.partitions, key=_place)
    if highest.kind == "r" and not highest.detach_pending:
        return highest
    for partition in sorted(parent.partitions, key=_place, reverse=True):
        leaf = partition if partition.kind == "r" else newest_leaf(partition)
        if leaf is not None and not partition.detach_pending:
            return leaf
    return None


def _place(partition: Partition) -> tuple[tuple[OrderKey, ...], str]:
    """Ranges in key order, behind the default one; others by name."""
    bound = partition.bound
    return (row_order(bound.lower) if isinstance(bound, RangeBound) else (), partition.name.name)


def repair_step(table: QualifiedName, partition: Partition, have: Member, membership: Membership) -> Step | None:
    """What mends *partition*; None when nothing can be mended in place."""
    want = membership.wanted(divided=have.divided)
    actions = tuple(changes(partition.name, have, want))
    return Step(Purpose.REPAIR, table, partition.name, partition.bound, actions) if actions else None
