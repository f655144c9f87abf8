"""One adapter for each engine that is compared; each raises `Absent` with the reason where it cannot run here."""


class Absent(Exception):
    """A peer that cannot run here: the message is the reason that goes into the result as 'not run'."""
