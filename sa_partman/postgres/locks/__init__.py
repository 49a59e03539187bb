"""Who may work and who stands in the way: the lock protocol, its budgets, and one maintainer at a time."""
