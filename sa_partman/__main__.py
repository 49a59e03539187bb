"""``python -m sa_partman``: the command line."""

from sa_partman.cli.main import main

if __name__ == "__main__":
    main()
