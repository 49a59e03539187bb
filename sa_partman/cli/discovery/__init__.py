"""Where the metadata and the URL come from: options, environment, pyproject.toml, or the project's own env.py."""
