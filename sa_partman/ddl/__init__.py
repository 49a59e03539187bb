"""An action becomes statements, as SQLAlchemy's elements or as text. No connection."""

from sa_partman.ddl import partitions, rows, tables  # who renders which action

__all__ = ["partitions", "rows", "tables"]
