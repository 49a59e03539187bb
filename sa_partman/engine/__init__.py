"""The engine room: what runs steps, under their locks and budgets, and finds out who is in the way."""
