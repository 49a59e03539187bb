"""Autogenerate: declared against found."""
