"""Converts a table in place: looks at it, draws the plan, runs it from where it stopped, and draws the way back."""
