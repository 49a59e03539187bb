"""What the user declares: pure values, no database and no SQLAlchemy."""
