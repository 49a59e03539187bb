"""Actions are sentences: whole values, and each says which lock it takes."""

from __future__ import annotations

import pytest

from sa_partman.bounds.bound import DEFAULT
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import DetachPartition
from tests.support.builders import kinds


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_action_names_its_lock(kind: type) -> None:
    """So that whoever reads a plan knows what it costs."""
    assert any(word in (kind.__doc__ or "") for word in ("SHARE", "EXCLUSIVE"))


def test_a_concurrent_detach_runs_outside_of_a_transaction() -> None:
    """And nothing else does."""
    name, key = QualifiedName("public", "x"), PartitionKey((KeyPart("id", None, KeyType.of("bigint")),))

    assert DetachPartition(name, name, DEFAULT, key).in_transaction
    assert not DetachPartition(name, name, DEFAULT, key, concurrently=True).in_transaction
