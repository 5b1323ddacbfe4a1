"""Configs as YAML text, read and written as OmegaConf does it, with libyaml where there is one."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dlctl.errors import NotFoundError, first_line
from dlctl.project import shown


def to_yaml(node: Any) -> str:
    """The text of a config, or of a plain dict or list, its interpolations as they were written."""
    from omegaconf import OmegaConf

    plain = node
    if OmegaConf.is_config(node):
        plain = OmegaConf.to_container(node, resolve=False, enum_to_str=True)
    return str(
        yaml.dump(plain, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_dumper())
    )


@cache
def _dumper() -> Any:
    """OmegaConf's own dumper, on top of libyaml's where PyYAML was built with it."""
    from omegaconf._utils import get_omega_conf_dumper

    own = get_omega_conf_dumper()
    fast = getattr(yaml, "CDumper", None)
    names = ("yaml_representers", "yaml_multi_representers")
    return type("Dumper", (fast,), {name: getattr(own, name) for name in names}) if fast else own


# A config has some thousand values. What aliases multiply beyond that fills the memory when it is used.
_MOST_VALUES = 500_000


# Stands among the ids of nodes once one of them is met again.
_ALIASED = -1


class TooManyValues(yaml.MarkedYAMLError):
    """Aliases that stand for more values than a config can have, or for themselves."""


def from_yaml(text: Any) -> Any:
    """What a YAML text, or an open file, holds: interpolations stay as they were written.

    Raises:
        yaml.YAMLError: it is not YAML, is nested too deeply, or its aliases multiply without end.
    """
    return parse(text)[1]


def parse(text: Any) -> tuple[yaml.Node | None, Any]:
    """The same with the syntax tree, whose marks tell lines."""
    loader = _loader()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _expanded(node, {})
        return node, loader.construct_document(node)
    except RecursionError as error:
        start = yaml.Mark(str(getattr(text, "name", "")), 0, 0, 0, "", 0)
        raise TooManyValues(problem="it is nested too deeply", problem_mark=start) from error
    finally:
        loader.dispose()


def read_overrides(file: Path) -> list[str]:
    """The overrides that a run has kept; none if the file is missing.

    Raises:
        NotFoundError: it cannot be read, or does not hold a list.
    """
    # They may hold interpolations, and are taken as they are.
    try:
        said = from_yaml(file.read_text(encoding="utf-8")) if file.is_file() else []
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NotFoundError(f"cannot read the run's overrides {shown(file)}: {first_line(error)}") from error
    if not isinstance(said, list | None):
        raise NotFoundError(f"the run's overrides {shown(file)} are not a list")
    return list(map(str, said or []))


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for with every alias written out."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if not known[id(node)]:
            raise TooManyValues(
                problem="an alias stands for what it is part of", problem_mark=node.start_mark
            )
        known[_ALIASED] = 1
        return known[id(node)]
    known[id(node)] = 0
    inner = (
        node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
    )
    count = 1 + sum(_expanded(each, known) for each in inner)
    if count > _MOST_VALUES and _ALIASED in known:
        problem = f"its aliases stand for more than {_MOST_VALUES} values"
        raise TooManyValues(problem=problem, problem_mark=node.start_mark)
    known[id(node)] = count
    return count


@cache
def _loader() -> Any:
    """OmegaConf's YAML dialect, read with libyaml where there is one: a third of composing is parsing."""
    from omegaconf._utils import get_yaml_loader

    dialect: Any = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return dialect
    parser: Any = yaml.CSafeLoader.__mro__[1]

    def start(self: Any, stream: Any) -> None:
        parser.__init__(self, stream)
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)

    return type("Loader", (parser, dialect), {"__init__": start})
