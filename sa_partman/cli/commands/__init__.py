"""The commands: one a file, each called ``command``."""
