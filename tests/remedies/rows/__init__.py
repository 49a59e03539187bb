"""The table, by subject: every row of every tuple of every module here, once."""

from importlib import import_module
from pkgutil import iter_modules

from tests.remedies.row import Row


def _rows() -> dict[int, Row]:
    modules = [import_module(f"{__name__}.{each.name}") for each in iter_modules(__path__)]
    tables = [value for module in modules for value in vars(module).values() if isinstance(value, tuple)]
    return {id(row): row for table in tables for row in table if isinstance(row, Row)}


ROWS = tuple(_rows().values())
