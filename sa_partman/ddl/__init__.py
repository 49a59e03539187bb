"""An action becomes statements, as SQLAlchemy's elements or as text. No connection."""

from sa_partman.ddl import rows, tables

__all__ = ["rows", "tables"]
