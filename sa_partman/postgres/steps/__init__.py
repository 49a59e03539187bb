"""Executes the steps of a plan, each under its locks, and each as the plan saw the tables."""
