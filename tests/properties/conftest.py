"""How properties are tried: more often than hypothesis does by itself, and the same in every CI run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("local", deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
