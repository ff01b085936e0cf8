"""A client of a stranger's own keeps what every adapter has to: less is tested, but of money all of it."""

from .urllib_client import UrllibConformance


class TestUrllib(UrllibConformance):
    pass
