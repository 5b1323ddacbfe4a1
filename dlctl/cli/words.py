"""Let plain words of the command line pass without pydantic, whose import takes longer than most commands.

Typer builds a pydantic adapter for every parameter, given or not. Its internals are touched only where
they are as known; elsewhere all works as before, and more slowly.
"""

from typing import Any

from typer import core


def pass_lightly() -> None:
    """Let Typer ask pydantic only about values that are no plain words."""
    parameter = getattr(core, "_TyperParameter", None)
    build = getattr(parameter, "get_runtime_param", None)
    if parameter is not None and build is not None and not hasattr(build, "light"):
        light: Any = lambda self: _Words(lambda: build(self))  # noqa: E731
        light.light = True
        parameter.get_runtime_param = light


class _Words:
    """In the place of Typer's conversion of a parameter, which it builds if it needs it."""

    def __init__(self, build: Any) -> None:
        self._build = build

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Words stay as they are; all else is left to Typer."""
        annotation = param.type_descriptor.annotation
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if annotation is str and isinstance(value, str):
            return value
        if annotation == list[str] and many and not isinstance(value, str):
            return list(value)
        return self._build().coerce(value, param=param, ctx=ctx)
