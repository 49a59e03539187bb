"""Decisions: from what is declared, what is found and the time, to a plan. Pure."""
