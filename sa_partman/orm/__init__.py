"""Declarations on SQLAlchemy models and tables."""
