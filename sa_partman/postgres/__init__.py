"""The only floor that talks to a server."""
