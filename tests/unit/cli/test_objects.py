"""What counts as metadata."""

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, declarative_base

from sa_partman.cli.discovery.objects import metadata_of


class Base(DeclarativeBase):
    pass


class FlaskLike:
    """Flask-SQLAlchemy's db: its metadata is a property."""

    @property
    def metadata(self) -> MetaData:
        return Base.metadata


def test_a_metadata_and_all_that_have_one_are_taken() -> None:
    plain, old = MetaData(), declarative_base()

    assert plain is metadata_of(plain)
    assert Base.metadata is metadata_of(Base)
    assert old.metadata is metadata_of(old)
    assert Base.metadata is metadata_of(FlaskLike())


def test_several_are_taken_together() -> None:
    one = MetaData()

    assert (one, Base.metadata) == metadata_of([one, Base])
    assert (one,) == metadata_of((one,))


def test_other_things_are_not() -> None:
    others: tuple[object, ...] = (None, 1, "models", [], [MetaData(), None], {}, Base.registry.configure)
    for thing in others:
        assert metadata_of(thing) is None, thing
