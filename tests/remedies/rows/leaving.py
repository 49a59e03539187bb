"""Tenants that left: what is said of them, and what removes them."""

from tests.remedies.row import Box, Meant, Models, Row, Step
from tests.remedies.rows.written import ONLINE, REVISION

BOTH = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("tenant", values={"a": ["a"], "b": ["it's b"]})
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    tenant: Mapped[str] = mapped_column(primary_key=True)
"""
ONE = BOTH.replace(""", "b": ["it's b"]""", "")
RANGES = BOTH.replace(
    """PartitionByList("tenant", values={"a": ["a"], "b": ["it's b"]})""",
    """PartitionByRange("tenant", "at", interval="1 month", premake=0, tenants=["a", "b"])""",
).replace("\n    id:", "\n    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)\n    id:")
DEEP = BOTH.replace("values=", 'subpartition=PartitionByList("kind", values=["x", "y"]), values=') + (
    "    kind: Mapped[str] = mapped_column(primary_key=True)\n"
)


def pruned(*tenants: object) -> Meant:
    return Meant(f"sa-partman prune {' '.join(map(str, tenants))} --yes")


def said(tenant: object) -> Step:
    """What `Maintainer.prune` answers to *tenant*."""

    def attempt(box: Box) -> str:
        return str(box.maintainer().prune(tenants=[tenant]))

    return attempt


def dropped(branch: object) -> Step:
    def drop(box: Box) -> None:
        result = box.maintainer().drop_branch("events", branch)
        assert result.ok, str(result)

    return drop


def dropped_and_said(box: Box) -> str:
    """Only where it is there."""
    box.maintainer().provision()
    return str(box.maintainer().drop_branch("events", "a"))


def dropped_if_there(box: Box) -> str:
    """After it left, the next run makes nothing again."""
    return str(box.maintainer().run())


TOGETHER = BOTH.replace("""{"a": ["a"], "b": ["it's b"]}""", "{'ab': ['a', 'b']}")
APART = TOGETHER.replace("{'ab': ['a', 'b']}", "{'ab': ['b'], 'a': ['a']}")

B = """--tenant 'it'"'"'s b'"""

LEAVING = (
    Row(
        "'a' is still declared, so the next run makes its partition again, empty; if the tenant left, take it out of the "
        "declaration, or out of what its select() or callable gives",
        (Models(BOTH.replace('"a": ["a"], ', "")),),
        BOTH,
        (Box.create,),
        dropped_and_said,
        dropped_if_there,
    ),
    Row(
        "tenant-gone: public.events_b belongs to a value that is no longer wanted: retention goes on in it, and no "
        f"partition is made -> remove it: sa-partman prune {B}",
        (pruned(B),),
        BOTH,
        (Box.create, Models(ONE)),
    ),
    Row(
        "tenant-gone: public.events_b_p20300601, the first partition of its tenant, belongs to a value that is no "
        "longer wanted: retention goes on in it, and no partition is made -> remove it: sa-partman prune --tenant b",
        (pruned("--tenant b"),),
        RANGES,
        (Box.create, Models(RANGES.replace(', "b"]', "]"))),
    ),
    Row(
        "tenant-gone: public.events_a_y belongs to a value that is no longer wanted: retention goes on in it, and no "
        "partition is made -> remove it: Maintainer.prune(tenants=[...]) takes a tuple with the value of each level",
        (lambda box: box.maintainer().prune(tenants=[("a", "y")]),),
        DEEP.replace(""", "b": ["it's b"]""", ""),
        (Box.create, Models(DEEP.replace(', "y"]', "]").replace(""", "b": ["it's b"]""", ""))),
    ),
    Row(
        "public.events: 'a' is still declared, so public.events_a would be made again at the next run; nothing was "
        "changed. Take it out of the declaration, or out of what its select() or callable gives, first.",
        (Models(BOTH.replace('"a": ["a"], ', "")),),
        BOTH,
        (Box.create,),
        said("a"),
        pruned("--tenant a"),
    ),
    Row(
        "public.events_b was not made by sa-partman; nothing was changed. Hand it over first: sa-partman run --adopt",
        (("sa-partman run --adopt", pruned(B)),),
        ONE,
        (
            Box.create,
            "CREATE TABLE events_b PARTITION OF events FOR VALUES IN ('it''s b')",
        ),
        said("it's b"),
        None,
    ),
    Row(
        "no table has a partition for the tenant 'c'; nothing was changed",
        models=BOTH,
        given=(Box.create,),
        attempt=said("c"),
    ),
    Row(
        "public.events has no partition for ('c',); nothing was changed",
        models=BOTH,
        given=(Box.create,),
        attempt=dropped("c"),
    ),
    Row(
        "public.events: the branch has no values; nothing was changed. Give the tenant's value, or one per level",
        (dropped("a"), dropped(("a", "y"))),
        DEEP,
        (Box.create,),
        dropped(()),
        None,
    ),
    Row(
        "public.events: public.events_ab holds 'b' beside 'a'; nothing was changed. Give 'a' a label of its own in the "
        "declaration, and migrate: alembic revision --autogenerate",
        ((Models(APART), REVISION, ONLINE, dropped("a")),),
        TOGETHER,
        (Box.create,),
        dropped("a"),
        None,
    ),
)
