"""Everybody who performs an action that is more than statements."""

from sa_partman.postgres.archive import archiving, dropping
from sa_partman.postgres.steps.expired_rows import delete_expired
from sa_partman.postgres.steps.satellites import delete_referring

WORKERS = (archiving.archive_table, dropping.drop_detached, delete_referring, delete_expired)
"""Each is registered when its module is imported; whoever executes plans imports this one."""
