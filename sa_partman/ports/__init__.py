"""What the outside may bring: a clock, hooks, archivers."""
