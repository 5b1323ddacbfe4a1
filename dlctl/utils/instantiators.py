"""Config nodes -> callbacks and loggers."""

from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from dlctl.errors import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger

T = TypeVar("T")


def instantiate_callbacks(callbacks_cfg: DictConfig | None) -> "list[Callback]":
    """Instantiate every callback of a config, in order.

    Raises:
        ConfigError: a node builds something else than a Callback.
    """
    from lightning.pytorch import Callback

    return _instantiate_each(callbacks_cfg, "callbacks", Callback)


def instantiate_loggers(logger_cfg: DictConfig | None) -> "list[Logger]":
    """Instantiate every logger of a config, in order; a tracker that dies does not end the training.

    Raises:
        ConfigError: a node builds something else than a Logger.
    """
    from lightning.pytorch.loggers import Logger

    from dlctl.utils.trackers import guard

    found = _instantiate_each(logger_cfg, "logger", Logger)  # type: ignore[type-abstract]
    return [guard(each) for each in found]


def target_nodes(config: Any, group: str) -> dict[str, DictConfig]:
    """The nodes of a group that build something, by their keys: the group itself if it has a ``_target_``.

    A node without a ``_target_`` builds nothing: experiments say how a logger is to be, should it be chosen.
    A plain value builds nothing either: other values refer to it.

    Raises:
        ConfigError: the group is not a section, or one of its nodes is a list.
    """
    if not config:
        return {}
    if not isinstance(config, DictConfig):
        kind = "a list" if OmegaConf.is_list(config) else f"'{config}'"
        raise ConfigError(
            f"'{group}' is {kind}, and must be a section of named nodes",
            hint=f"{group}: {{NAME: {{_target_: package.module.Class}}}}",
            key=group,
        )
    if "_target_" in config:
        return {group: config}
    found: dict[str, DictConfig] = {}
    for name in config:
        node: Any = config[name]
        key = f"{group}.{name!s}"
        if OmegaConf.is_list(node):
            raise ConfigError(
                f"'{key}' is a list, and must be a section with a _target_",
                hint="give each item a name of its own",
                key=key,
            )
        if not isinstance(node, DictConfig):
            continue
        if "_target_" in node:
            found[key] = node
        elif node and all(isinstance(each, DictConfig) and "_target_" in each for each in node.values()):
            inner = ", ".join(f"{key}.{each!s}" for each in node)
            raise ConfigError(
                f"'{key}' has no _target_, and what it holds is not built: {inner}",
                hint=f"write its nodes one level up, directly below {group}",
                key=key,
            )
    return found


def _instantiate_each(config: DictConfig | None, group: str, kind: type[T]) -> list[T]:
    from hydra.utils import instantiate

    nodes = target_nodes(config, group)
    for key, node in nodes.items():
        if node.get("_partial_"):
            message = f"'{key}' is a partial, and a {kind.__name__} is needed"
            raise ConfigError(message, hint=f"leave out {key}._partial_", key=key)
    return [of_type(instantiate(node), kind, key) for key, node in nodes.items()]


def of_type(value: Any, kind: type[T], key: str) -> T:
    """A value that a config node has built.

    Raises:
        ConfigError: it is not of the type that is needed.
    """
    if isinstance(value, kind):
        return value
    built = type(value).__name__
    hint = f"look at {key}._target_"
    if built == kind.__name__ or any(each.__name__ == kind.__name__ for each in type(value).__mro__):
        # Those of the package pytorch_lightning have the same names.
        built, hint = f"{type(value).__module__}.{built}", f"derive it from {kind.__module__}.{kind.__name__}"
    raise ConfigError(f"'{key}' builds a {built}, and a {kind.__name__} is needed", hint=hint, key=key)
