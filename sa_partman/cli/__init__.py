"""The command line: parse, call, print. Data on stdout, everything else on stderr."""
