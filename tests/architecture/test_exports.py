"""What users catch and annotate is imported from `sa_partman` itself, with or without greenlet."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, get_args, get_type_hints

import pytest

import sa_partman
from sa_partman import errors
from tests.support.command import ROOT

SERVED: tuple[str, ...] = (
    "Maintainer",
    "AsyncMaintainer",
    "Converter",
    "AsyncConverter",
    "Fleet",
    "Service",
    "AsyncService",
)
SERVED += ("Rewriter", "AsyncRewriter")
"""Whose public methods users call."""
VALUES: tuple[str, ...] = (
    "Answer",
    "Archived",
    "Conversion",
    "ConversionPlan",
    "Estimate",
    "Finding",
    "Health",
    "MaintenancePlan",
)
VALUES += (
    "PartitionStatus",
    "Progress",
    "Restored",
    "RewritePlan",
    "RunResult",
    "StepEvent",
    "StepResult",
    "TableStatus",
)
"""What they are given."""
INNER = {"Settings", "Schedule", "Only", "PartitionSpec"}
"""Made by functions of ours, never by their own names."""
HIDDEN = "import sys; sys.modules['greenlet'] = None; "


def _methods() -> Iterator[Callable[..., Any]]:
    for name in SERVED:
        for method, function in inspect.getmembers(getattr(sa_partman, name), inspect.isfunction):
            if not method.startswith("_") or method in ("__init__", "__enter__", "__aenter__"):
                yield function
    yield from (sa_partman.before, sa_partman.after, sa_partman.partition_by)


def _named(hint: Any) -> Iterator[str]:
    """The classes of ours in an annotation."""
    if inspect.isclass(hint) and hint.__module__.startswith("sa_partman"):
        yield hint.__name__
    arguments = [each for given in get_args(hint) for each in (given if isinstance(given, list) else [given])]
    for each in arguments:
        yield from _named(each)


def _names_for(function: Callable[..., Any]) -> dict[str, Any]:
    """What its annotations name, also what is imported for type checkers only."""
    return {name: getattr(sa_partman, name) for name in sa_partman.__all__} | {
        "Listening": import_module("sa_partman.observe.http").Listening
    }


def test_what_public_methods_take_and_give_is_exported() -> None:
    found = {
        (function.__qualname__, name)
        for function in _methods()
        for hint in get_type_hints(function, localns=_names_for(function)).values()
        for name in _named(hint)
    }

    assert ("Maintainer.run", "RunResult") in found
    assert set() == {each for each in found if each[1] not in {*sa_partman.__all__, *INNER}}


def test_what_public_methods_raise_is_exported() -> None:
    raised = {
        name
        for function in _methods()
        for text in re.findall(r"Raises:\n(.*?)(?:\n\s*\n|\Z)", inspect.getdoc(function) or "", re.DOTALL)
        for name in re.findall(r"^\s+([A-Z]\w+):", text, re.MULTILINE)
    }

    assert {"MaintainerBusy", "Refused", "Interrupted"} <= raised
    assert set() == raised - {*sa_partman.__all__, "ValueError", "TypeError", "RuntimeError"}


def test_every_error_of_the_tree_is_exported() -> None:
    named = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}

    assert set() == named - set(sa_partman.__all__)


@pytest.mark.parametrize("name", VALUES)
def test_what_a_value_consists_of_is_exported(name: str) -> None:
    """Enums and values inside of those that are given."""
    value = getattr(sa_partman, name)
    hints = [value] if not hasattr(value, "__dataclass_fields__") else _annotations(value)

    assert [] == [each for hint in hints for each in _named(hint) if each not in {*sa_partman.__all__, *DEEPER}]


DEEPER = {
    "RangeBound",
    "ListBound",
    "HashBound",
    "DefaultBound",
    "Manifest",
    "Ended",
    "StepCount",
    "UnfinishedConversion",
}
DEEPER |= {"NewPartition", "Outlived", "Refusal", "Source", "TablePlan"}
"""Looked at, and printed, but neither caught nor made by users."""


def _annotations(value: type) -> list[Any]:
    names = {name: getattr(sa_partman, name) for name in sa_partman.__all__}
    return list(get_type_hints(value, localns=names).values())


def test_lazy_names_and_those_for_type_checkers_are_the_same() -> None:
    source = inspect.getsource(sa_partman)
    typed = source[source.index("if TYPE_CHECKING:") : source.index("_HOMES")]
    shown = set(re.findall(r"\b(?!import\b|from\b)([A-Za-z]\w*)\b(?=,|\n)", typed))

    assert set() == set(sa_partman._SERVICES) ^ (shown - {"TYPE_CHECKING"})


def _python(code: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("hidden", ["", HIDDEN])
def test_everything_at_once(hidden: str) -> None:
    """``import *`` works after the README's own install, which has no greenlet."""
    code, out, err = _python(f"{hidden}from sa_partman import *; print(RunResult.__name__, 'AsyncMaintainer' in dir())")

    assert (0, f"RunResult {not hidden}\n", "") == (code, out, err)


@pytest.mark.parametrize("name", ["AsyncConverter", "AsyncMaintainer", "AsyncRewriter", "AsyncService"])
@pytest.mark.parametrize("way", ["import sa_partman; sa_partman.{}", "from sa_partman import {}"])
def test_without_greenlet_one_line_says_what_to_install(name: str, way: str) -> None:
    code, _, err = _python(HIDDEN + way.format(name))

    said = (
        "greenlet is not installed, which asynchronous engines need; install it with: pip install 'sa-partman[asyncpg]'"
    )
    assert 1 == code
    assert f"sa_partman.errors.MissingDependency: {said}" == err.splitlines()[-1]
    assert "During handling" not in err
    assert "direct cause" not in err


def test_the_documents_import_from_the_package_itself() -> None:
    """Where a thing lives is nobody's business but ours."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]

    assert [] == [
        f"{page.name}: {line}"
        for page in pages
        for line in page.read_text().splitlines()
        if re.match(r"\s*(from|import) sa_partman\.", line)
    ]


def test_the_former_name_of_a_step_warns() -> None:
    with pytest.warns(DeprecationWarning, match="ConversionStep is called Step now"):
        assert sa_partman.Step is sa_partman.ConversionStep
