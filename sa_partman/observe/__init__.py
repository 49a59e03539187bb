"""Readers of what is there: views for a terminal."""
