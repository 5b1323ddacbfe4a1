"""What is shown and asked before a run starts; torch is not needed here."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from omegaconf import DictConfig, OmegaConf
from rich.syntax import Syntax
from rich.tree import Tree

from dlctl.errors import ConfigError
from dlctl.utils.safe_console import SafeConsole

_ORDER = ("data", "model", "callbacks", "logger", "trainer", "paths", "extras")


def print_config_tree(
    cfg: DictConfig, print_order: Sequence[str] = _ORDER, save_to: Path | None = None
) -> None:
    """Print a config as a tree on stderr, and save it.

    Args:
        cfg: resolved, without secrets.
        print_order: what comes first.
        save_to: a file that gets the tree as plain text.
    """
    _print(cfg, print_order, sys.stderr)
    if save_to is not None:
        with save_to.open("w", encoding="utf-8") as stream:
            _print(cfg, print_order, stream, width=120)


def _print(cfg: DictConfig, order: Sequence[str], stream: TextIO, width: int | None = None) -> None:
    tree = Tree("CONFIG", style="dim", guide_style="dim")
    # Not resolved: what is still an interpolation is a secret.
    values = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(values, dict)
    first = [name for name in order if name in values]
    for name in [*first, *(str(name) for name in values if name not in first)]:
        node = values[name]
        text = OmegaConf.to_yaml(OmegaConf.create(node)) if isinstance(node, dict | list) else f"{node}"
        branch = tree.add(name, style="dim", guide_style="dim")
        branch.add(Syntax(text.rstrip("\n"), "yaml", background_color="default", word_wrap=True))
    SafeConsole(file=stream, width=width).print(tree)


def enforce_tags(cfg: DictConfig, save_to: Path | None = None) -> list[str]:
    """The tags of a run; asked for on a terminal where there are none.

    Args:
        cfg: whose ``tags`` are looked at.
        save_to: a file that gets them.

    Raises:
        ConfigError: there are none and nobody to ask.
    """
    known = cfg.get("tags") or []
    tags = [known] if isinstance(known, str) else [str(tag) for tag in known]
    if not tags:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise ConfigError("the run has no tags", hint="dlctl train --tags a,b", key="tags")
        SafeConsole(stderr=True).print("Tags of this run, separated by commas [dim](dev)[/dim]: ", end="")
        tags = [tag.strip() for tag in (input() or "dev").split(",") if tag.strip()]
    if save_to is not None:
        save_to.write_text("".join(f"{tag}\n" for tag in tags), encoding="utf-8")
    return tags
