"""
Bounds and their text, whichever way: the doors of the rooms beside this one.

`parse_bound` reads what the catalog prints, `value_of` one value of it; `literal`, `for_values` and `check_predicate`
write SQL; `describe`, `shown` and `to_json` are for output.
"""

from __future__ import annotations

from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.show import Json, describe, shown, to_json
from sa_partman.bounds.value_text import literal, value_of
from sa_partman.bounds.write import for_values

__all__ = [
    "Json",
    "check_predicate",
    "describe",
    "for_values",
    "literal",
    "parse_bound",
    "shown",
    "to_json",
    "value_of",
]
