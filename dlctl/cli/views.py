"""How ``show-config`` draws configs: as trees for a terminal, as commented YAML for a pipe."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlctl import redact, terminal
from dlctl.project import Place

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from dlctl.cli.parts import Parts
    from dlctl.composition.explain import Fact
    from dlctl.composition.keys import Keys
    from dlctl.composition.provenance import Layer


def yaml(value: Any) -> str:
    """A value as YAML, with its end of line."""
    from omegaconf import OmegaConf

    if isinstance(value, dict | list):
        return str(OmegaConf.to_yaml(OmegaConf.create(value)))
    return str(OmegaConf.to_yaml(OmegaConf.create([value]))).removeprefix("- ")


def inline(value: Any) -> str:
    """A value on one line; ``...`` is none."""
    import yaml as pyyaml
    from omegaconf._utils import get_omega_conf_dumper

    if value is ...:
        return "(none)"
    if isinstance(value, dict | list):
        text = str(pyyaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)).strip()
    else:
        dumper: Any = get_omega_conf_dumper()
        text = str(pyyaml.dump(value, width=10**6, Dumper=dumper, allow_unicode=True))
        text = text.strip().removesuffix("...").strip()
    # YAML has no other way to keep an end of line on the line.
    return json.dumps(value, ensure_ascii=False, default=str) if "\n" in text else text


def told(fact: "Fact") -> list[str]:
    """Where a value comes from, in the parts between which it may be folded."""
    parts = [str(fact.by)]
    for number, (name, by) in enumerate(fact.points, 1):
        point = f"{name} ({by})" if by else name
        parts.append(f"{'->' if number == 1 else ''} {point}{',' if number < len(fact.points) else ''}")
    if fact.points and fact.resolved is not None:
        parts.append(f"= {inline(fact.resolved)}")
    # A comment is one line, whatever a value holds.
    return [terminal.one_line(redact.text(" ".join(part.split()))) for part in parts]


def changed(key: str, old: Any, new: Any) -> "Parts":
    """A key with its values in two configs."""
    from rich.text import Text

    from dlctl.cli.parts import Parts

    values = [Text(f" {inline(old)}", "red"), Text.assemble(" -> ", (inline(new), "green"))]
    return Parts([Text(f"{key}:", "bold"), *values])


def commented(part: Any, told: "dict[Keys, list[str]]") -> str:
    """YAML with a comment behind every value."""
    from yaml import SafeLoader, compose

    from dlctl.composition.config_files import find

    text = yaml(part)
    lines = text.splitlines()
    node = compose(text, Loader=SafeLoader)
    notes: dict[int, str] = {}
    for keys, note in told.items():
        found = find(node, keys)
        if found is None:
            continue
        _, line, value = found
        # What goes over several lines takes its comment behind the last.
        notes[max(value.end_mark.line, line - 1)] = " ".join(note)
    width = min(max([len(lines[number]) for number in notes], default=0), 48)
    for number, comment in notes.items():
        lines[number] = f"{lines[number]:<{width}}  # {comment}"
    return "\n".join(lines) + "\n"


def tree(part: Any, title: str, notes: "dict[Keys, list[str]]") -> "Tree":
    """A config as a tree, with a note behind every value that has one."""
    from rich.text import Text
    from rich.tree import Tree

    def add(tree: Tree, value: Any, keys: "Keys") -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in pairs:
            name = Text(f"{key}: " if isinstance(value, dict) else "- ", style="bold")
            if isinstance(child, dict | list) and child and not (_is_flat(child) and not notes):
                add(tree.add(name), child, (*keys, key))
                continue
            name.append(inline(child), style="not bold")
            tree.add(_noted(name, notes.get((*keys, key), [])))

    tree = Tree(Text(title, style="bold"), guide_style="dim")
    if isinstance(part, dict | list):
        add(tree, part, ())
    else:
        tree.add(_noted(Text(inline(part)), notes.get((), [])))
    return tree


def _noted(value: "Text", notes: Sequence[str]) -> "Parts":
    """A value with the notes behind it."""
    from rich.text import Text

    from dlctl.cli.parts import Parts

    gaps = ["  ", *[" "] * len(notes)]
    return Parts(
        [value, *(Text(f"{gap}{note}", style="dim") for gap, note in zip(gaps, notes, strict=False))]
    )


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def defaults(root: "Layer") -> "Tree":
    """The tree of config files; what was overridden says by what."""
    from rich.tree import Tree

    def add(tree: Tree, layer: "Layer") -> None:
        for part in layer.parts:
            if part is layer:
                tree.add("_self_", style="dim")
            else:
                add(tree.add(_layer_line(part)), part)

    tree = Tree(_layer_line(root), guide_style="dim")
    add(tree, root)
    return tree


def _layer_line(layer: "Layer") -> "Parts":
    from rich.text import Text

    from dlctl.cli.parts import Parts

    parts = [Text(layer.title, style="bold" if layer.config else "dim")]
    if layer.file is not None:
        parts.append(Text(f"  {str(Place(layer.file, 0)).removesuffix(':0')}", style="cyan"))
    elif layer.config:
        parts.append(Text("  not there" if layer.asked else "  Hydra's own", style="dim"))
    if layer.chosen:
        replaced = layer.instead and layer.instead != layer.title.partition(": ")[2]
        parts.append(Text(f"  <- {layer.chosen}{',' if replaced else ''}", style="yellow"))
        parts += [Text(f" instead of {layer.instead}", style="yellow")] if replaced else []
    return Parts(parts)
