"""Which rows go where when list values or a modulus change: every value that has a label ends in its partition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sa_partman import PartitionByHash, PartitionByList
from sa_partman.bounds.bound import DEFAULT, Bound, HashBound, KeyValue, ListBound
from sa_partman.catalog import Partition
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.repartition import Repartitioning, WantedLabel, hash_change, list_change
from sa_partman.spec.declared import ColumnType, HashLevel, ListLevel, bind

KEY = PartitionKey((KeyPart("k", None, KeyType.of("text")),))
NAME = QualifiedName("public", "t")
COLUMNS = {"k": ColumnType("k", KeyType.of("text"))}


def parent(bounds: dict[str, Bound], default: bool = False) -> Partition:
    more = {"default": DEFAULT} if default else {}
    partitions = tuple(
        Partition(NAME.sibling(f"t_{label}"), place, bound, "r")
        for place, (label, bound) in enumerate({**bounds, **more}.items(), 1)
    )
    return Partition(NAME, 99, DEFAULT, "p", strategy="LIST", key=KEY, partitions=partitions)


def lists(labels: dict[str, list[str | None]]) -> dict[str, Bound]:
    return {label: ListBound(frozenset(values)) for label, values in labels.items()}


def change_of(
    before: dict[str, list[str | None]], after: dict[str, list[str | None]], default: bool = False
) -> Repartitioning:
    level = bind(NAME, PartitionByList("k", values=after), COLUMNS).level
    assert isinstance(level, ListLevel)
    wanted = tuple(WantedLabel(label, ListBound(frozenset(values))) for label, values in after.items())
    return list_change(level, parent(lists(before), default), wanted)


@st.composite
def labelled(draw: st.DrawFn) -> dict[str, list[str | None]]:
    """Some of six values, each in one of three labels or in none."""
    places = draw(st.lists(st.sampled_from(["x", "y", "z", None]), min_size=6, max_size=6))
    found: dict[str, list[str | None]] = {}
    for value, label in zip(["a", "b", "c", "d", "e", None], places, strict=True):
        if label is not None:
            found.setdefault(label, []).append(value)
    return found


@given(labelled(), labelled().filter(bool), st.booleans())
def test_every_value_ends_where_its_label_is(
    before: dict[str, list[str | None]], after: dict[str, list[str | None]], default: bool
) -> None:
    """Rows are followed by hand: value -> table, through keepers and moves."""
    change = change_of(before, after, default)
    tables: dict[KeyValue, str] = {value: f"t_{label}" for label, values in before.items() for value in values}
    if default:
        tables = {**dict.fromkeys(["a", "b", "c", "d", "e", None], "t_default"), **tables}
    for move in change.moves:
        assert isinstance(move.bound, ListBound)
        for value in move.bound.values:
            assert tables[value] == move.source.name.name
            tables[value] = "t_default" if move.target is None else f"new {move.target.bound}"
            if move.target is not None and move.target.keeper is not None:
                tables[value] = move.target.keeper.name.name
    holders = {
        target.bound: f"new {target.bound}" if target.keeper is None else target.keeper.name.name
        for target in change.targets
    }
    same = {bound: f"t_{label}" for label, bound in lists(before).items() if bound not in holders}
    for bound in lists(after).values():
        holder = holders.get(bound) or same[bound]
        assert isinstance(bound, ListBound)
        assert {holder} == {tables.get(value, holder) for value in bound.values}


@given(labelled(), labelled().filter(bool))
def test_what_no_label_wants_leaves_whole(
    before: dict[str, list[str | None]], after: dict[str, list[str | None]]
) -> None:
    wanted = {value for values in after.values() for value in values}
    change = change_of(before, after)

    assert {f"t_{label}" for label, values in before.items() if wanted.isdisjoint(values)} == {
        partition.name.name for partition in change.leaving
    }


@given(labelled().filter(bool))
def test_the_same_values_need_nothing(labels: dict[str, list[str | None]]) -> None:
    assert Repartitioning((), (), (), ()) == change_of(labels, labels)


def test_a_label_that_gains_a_value_goes_on_with_its_table() -> None:
    change = change_of({"eu": ["de"]}, {"eu": ["de", "fr"]})

    assert ["t_eu"] == [target.keeper.name.name for target in change.targets if target.keeper]
    assert () == change.moves


@given(st.integers(1, 8), st.integers(1, 8))
def test_each_row_of_a_hash_has_one_way(before: int, after: int) -> None:
    level = bind(NAME, PartitionByHash("k", modulus=after), COLUMNS).level
    assert isinstance(level, HashLevel)
    change = hash_change(level, parent({f"h{r}": HashBound(before, r) for r in range(before)}))

    for number in range(before * after):
        ways = [
            move
            for move in change.moves
            if isinstance(move.source.bound, HashBound)
            and number % move.source.bound.modulus == move.source.bound.remainder
            and isinstance(move.bound, HashBound)
            and number % move.bound.modulus == move.bound.remainder
        ]
        assert (0 if before == after else 1) == len(ways)
