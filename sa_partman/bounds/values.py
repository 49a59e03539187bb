"""Where migrations import the values from that no literal writes; their home is the room of the bounds."""

from __future__ import annotations

from sa_partman.bounds.bound import INFINITY, MAXVALUE, MINVALUE, NAN, NEGATIVE_INFINITY

__all__ = ["INFINITY", "MAXVALUE", "MINVALUE", "NAN", "NEGATIVE_INFINITY"]
