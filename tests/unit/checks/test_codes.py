"""Every code that a finding can have stands in the documentation, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "monitoring.md"
FORWARDING = {
    ("checks/coverage.py", "_listed"): 0,
    ("checks/membership.py", "privilege_note"): 0,
    ("compare/shape.py", "_shape"): 0,
    ("postgres/view.py", "_unread"): 1,
}
"""Functions that are given a code and make a finding of it, and at which place they take it."""


def codes_in_source() -> set[str]:
    source = ROOT / "sa_partman"
    found = ((path.relative_to(source).as_posix(), path.read_text(encoding="utf-8")) for path in source.rglob("*.py"))
    return {code for name, text in found if "Finding(" in text for code in _codes(name, ast.parse(text))}


def _codes(module: str, tree: ast.Module) -> Iterator[str]:
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
            called = getattr(call.func, "id", "")
            place = 0 if called == "Finding" else FORWARDING.get((module, called))
            if place is None or not call.args[place:]:
                continue
            code = call.args[place]
            if isinstance(code, ast.Constant):
                yield str(code.value)
            else:
                assert (module, function.name) in FORWARDING, f"add {module}, {function.name} to FORWARDING"


def codes_in_page() -> list[str]:
    """The first cells of the table of codes."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## Finding codes")
    return re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)


def test_every_code_is_documented() -> None:
    assert sorted(codes_in_source()) == sorted(codes_in_page())


def test_codes_are_in_order() -> None:
    """So that a reader finds one."""
    assert sorted(codes_in_page()) == codes_in_page()
