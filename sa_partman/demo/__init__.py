"""The demonstration: a real table, from plain to partitioned, on a throw-away server."""
