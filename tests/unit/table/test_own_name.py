"""A policy's own table, called by its bare name within a subquery."""

import pytest

from sa_partman.table.definition import NAME, with_name


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(m.kind = events.kind)", f"(m.kind = {NAME}.kind)"),
        (
            "(SELECT FROM public.events e WHERE e.id = events.id)",
            f"(SELECT FROM public.events e WHERE e.id = {NAME}.id)",
        ),
        ("(kind <> 'events.kind')", "(kind <> 'events.kind')"),
        ("(kind <> 'it''s events.kind')", "(kind <> 'it''s events.kind')"),
        ("(kind <> E'\\\\events.kind')", "(kind <> E'\\\\events.kind')"),
        ("(events_1.kind = my_events.kind)", "(events_1.kind = my_events.kind)"),
        ('("events.x" = events."Kind")', f'("events.x" = {NAME}."Kind")'),
        ("(events.f(kind) = 1)", "(events.f(kind) = 1)"),
        ("(kind::events.mood = 'a')", "(kind::events.mood = 'a')"),
        ("(o.events.kind)", "(o.events.kind)"),
        ("(events.events.kind)", "(events.events.kind)"),
    ],
)
def test_only_a_reference_to_a_row_is_meant(expression: str, expected: str) -> None:
    """Not a qualified name, not a schema, and nothing within quotes."""
    assert expected == with_name(expression, "events")


def test_a_quoted_name_is_found_as_it_is_printed() -> None:
    """Quotes and all."""
    assert f"(a = {NAME}.b)" == with_name('(a = "Ev""ents".b)', '"Ev""ents"')
