"""Configs as YAML text: as OmegaConf writes it, by libyaml where that is there, which is much faster."""

from functools import cache
from typing import Any

import yaml


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
