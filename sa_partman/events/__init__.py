"""What happens during a run, as values: hooks, the log, the audit and the metrics are told of it."""
