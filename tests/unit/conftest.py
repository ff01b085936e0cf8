"""Hypothesis draws the same examples every time, and no example is too slow on a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", derandomize=True, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
