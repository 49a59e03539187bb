"""What a maintainer is made of is looked at when it is made, and a mistake is said in words."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine
from sqlalchemy.orm import DeclarativeBase

from sa_partman import Maintainer
from sa_partman.checks.coverage import Asked
from sa_partman.errors import ConfigurationError, DeclarationError
from sa_partman.orm.registry import declared_tables


class Base(DeclarativeBase):
    pass


ENGINE = create_engine("postgresql+psycopg://nobody@/nowhere")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metadata": Base}, "is not a MetaData; pass its .metadata"),
        ({"metadata": [Base]}, "is not a MetaData; pass its .metadata"),
        ({"metadata": [[MetaData()]]}, "is not a MetaData"),
        ({"metadata": 7}, "metadata=7 is not a MetaData; pass one, or several"),
        ({"metadata": MetaData(), "hooks": print}, "is not a list; write hooks=[...], even for one"),
        ({"metadata": MetaData(), "now": "2030-01-01"}, "now='2030-01-01' is not a datetime, nor a callable"),
    ],
)
def test_what_is_no_such_thing(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError) as raised:
        Maintainer(ENGINE, **arguments)

    assert said in str(raised.value)


def test_several_metadatas() -> None:
    one, other = MetaData(), MetaData()

    assert (one, other) == Maintainer(ENGINE, [one, other]).metadata
    assert one is Maintainer(ENGINE, one).metadata


def test_another_database() -> None:
    """It may be made, such as by an application whose tests run elsewhere; it says why it does nothing."""
    maintainer = Maintainer(create_engine("sqlite://"), MetaData())
    for asked in (maintainer.run, maintainer.prune, maintainer.plan, maintainer.check, maintainer.status):
        with pytest.raises(ConfigurationError) as raised:
            asked()

        assert "sqlite is not PostgreSQL; only PostgreSQL has partitions to maintain" == str(raised.value)


def test_tables_are_names() -> None:
    """One name may stand alone."""
    with pytest.raises(DeclarationError) as alone:
        declared_tables(MetaData(), "events")
    with pytest.raises(DeclarationError) as raised:
        declared_tables(MetaData(), [Base])  # type: ignore[list-item]

    assert "events: not declared as partitioned; declared are: none" == str(alone.value)
    assert "tables= takes names of tables, and got" in str(raised.value)


def test_a_length_of_time_is_no_number() -> None:
    with pytest.raises(ValueError) as raised:
        Asked.of(min_horizon=7)  # type: ignore[arg-type]

    assert "7 is not a length of time; write a text such as '7d', or a timedelta" == str(raised.value)
