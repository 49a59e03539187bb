"""An action becomes statements, as SQLAlchemy's elements or as text. No connection."""

from sa_partman.ddl import rewriting, rows, tables

__all__ = ["rewriting", "rows", "tables"]
