"""A Django without a project, on the server of PGHOST: one model that is partitioned by a time."""

import os

import django
from django.conf import settings

database = {"ENGINE": "psqlextra.backend", "NAME": "postgres", "USER": "postgres", "HOST": os.environ.get("PGHOST", "")}
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "psqlextra"],
    DATABASES={"default": database},
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.db import connection, models  # noqa: E402
from psqlextra.models import PostgresPartitionedModel  # noqa: E402
from psqlextra.partitioning import (  # noqa: E402
    PostgresCurrentTimePartitioningStrategy,
    PostgresPartitioningConfig,
    PostgresPartitioningManager,
    PostgresTimePartitionSize,
)
from psqlextra.types import PostgresPartitioningMethod  # noqa: E402


class Event(PostgresPartitionedModel):
    at = models.DateTimeField()

    class Meta:
        app_label = "ground"
        db_table = "event"

    class PartitioningMeta:
        method = PostgresPartitioningMethod.RANGE
        key = ["at"]  # noqa: RUF012 - a tuple is refused


def make_table():
    with connection.schema_editor() as editor:
        editor.create_partitioned_model(Event)


def strategy(count=2, max_age=None, **size):
    return PostgresCurrentTimePartitioningStrategy(PostgresTimePartitionSize(**size), count, max_age)


def manager(**arguments):
    return PostgresPartitioningManager([PostgresPartitioningConfig(model=Event, strategy=strategy(**arguments))])


def bounds(**arguments):
    """What the strategy would create now."""
    return [(each.from_values, each.to_values) for each in strategy(**arguments).to_create()]


def partitions():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'event'::regclass ORDER BY 1"
        )
        return cursor.fetchall()
