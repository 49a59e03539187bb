"""Declared against found: what is missing, what is expired, what does not fit. Pure; plans and checks stand on it."""
