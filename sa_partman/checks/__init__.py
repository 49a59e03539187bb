"""Checks: from what is declared, what is found and the time, to findings and a status. Pure."""
