"""Reads what makes a partition a full member of its table: owner, grants, policies, publications and the like."""
