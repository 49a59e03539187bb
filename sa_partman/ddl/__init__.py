"""SQLAlchemy DDL elements: an action becomes statements. No connection."""
