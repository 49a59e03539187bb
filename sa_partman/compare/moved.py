"""How many rows leave a default partition in one transaction."""

MOVED_AT_MOST = 100_000
"""Unless somebody says otherwise: meanwhile nobody reads or writes them."""
