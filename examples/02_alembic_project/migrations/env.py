"""Alembic's environment: the generic template, with one line for partitions and the URL from DATABASE_URL."""

import os
from logging.config import fileConfig

from alembic import context
from models import Base
from sqlalchemy import create_engine, pool

import alembic_ext.autogenerate  # noqa: F401  # this is the line

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name)


def run_migrations_offline() -> None:
    """``alembic upgrade --sql``."""
    context.configure(url=os.environ["DATABASE_URL"], target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
