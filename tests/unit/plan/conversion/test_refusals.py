"""The table's own types of the key, and what stands in the way of it."""

from sa_partman import PartitionByRange
from sa_partman.key import KeyType
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.refusals import retyped, type_refusals
from sa_partman.spec.declared import ColumnType, DeclaredTable, bind
from tests.unit.plan.conversion.test_attach import definition


def columns(**types: str) -> dict[str, ColumnType]:
    return {name: ColumnType(name, KeyType.of(type)) for name, type in types.items()}


def by_number(type: str) -> DeclaredTable:
    below = PartitionByRange("id", interval=10)
    spec = PartitionByRange("id", interval=100, subpartition=below)
    return bind(QualifiedName("s", "events"), spec, columns(id=type))


def test_every_level_takes_the_type_of_the_table() -> None:
    """Literals are written in it."""
    found = retyped(by_number("bigint"), columns(id="integer"))

    assert ["integer", "integer"] == [level.key.types[0].sql for level in found.levels()]


def test_a_type_of_another_family_is_refused_once() -> None:
    """However many levels are partitioned by the column."""
    refusals = list(type_refusals(by_number("bigint"), columns(id="text"), definition()))

    assert ["id is text in the table and bigint in the model"] == [each.what for each in refusals]
