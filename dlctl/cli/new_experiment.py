"""``dlctl new-experiment NAME``, the same as ``dlctl new experiment NAME``."""

from dlctl.cli.new import experiment as command

__all__ = ["command"]
