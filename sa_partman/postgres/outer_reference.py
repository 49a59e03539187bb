"""
Policies that look at their own row from within a subquery call their table by its bare name: ``events.org_id``. Written
for a table of another name, they need that one.
"""

from __future__ import annotations

import re

from sa_partman.anatomy import NAME

_TOKEN = re.compile(r"""E?'(?:[^']|'')*' | "(?:[^"]|"")*" | [^\W\d][\w$]* | \s+ | .""", re.VERBOSE | re.DOTALL)


def with_name(expression: str, printed: str) -> str:
    """
    *expression* with `NAME` for the table.

    Args:
        expression: As ``pg_get_expr`` prints it.
        printed: The table's bare name, quoted where it must be.
    """
    tokens = _TOKEN.findall(expression)
    return "".join(NAME if _names_a_row(tokens, place, printed) else token for place, token in enumerate(tokens))


def _names_a_row(tokens: list[str], place: int, printed: str) -> bool:
    """Whether the token stands before a column: not in a qualified name, and not as a schema."""
    before, after = tokens[:place][-1:], tokens[place + 1 : place + 4]
    return (
        tokens[place] == printed
        and after[:1] == ["."]
        and before not in (["."], [":"])
        and (len(after) < 3 or after[2] not in ("(", "."))
    )
