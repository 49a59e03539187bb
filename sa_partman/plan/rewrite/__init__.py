"""Rewriting partitions: rows move into other partitions of the same table while the application writes them."""
