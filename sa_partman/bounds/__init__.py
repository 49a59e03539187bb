"""Arithmetic and values: bounds, calendar intervals, coverage. Pure; the standard library only."""
