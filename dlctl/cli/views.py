"""How ``show-config`` draws configs: as trees for a terminal, as commented YAML for a pipe."""

from typing import TYPE_CHECKING, Any

from dlctl import redact
from dlctl.project import Place

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from dlctl.composition.explain import Fact
    from dlctl.composition.keys import Keys
    from dlctl.composition.provenance import Layer


def yaml(value: Any) -> str:
    """A value as YAML, with its end of line."""
    from omegaconf import OmegaConf

    if isinstance(value, dict | list):
        return str(OmegaConf.to_yaml(OmegaConf.create(value)))
    return str(OmegaConf.to_yaml(OmegaConf.create([value]))).removeprefix("- ")


def flow(value: Any) -> str:
    """A value on one line, for Rich."""
    from rich.markup import escape

    if value is ...:
        return "(none)"
    return escape(inline(value))


def inline(value: Any) -> str:
    """A value on one line."""
    import yaml as pyyaml
    from omegaconf._utils import get_omega_conf_dumper

    if isinstance(value, dict | list):
        return str(pyyaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)).strip()
    dumper: Any = get_omega_conf_dumper()
    text = str(pyyaml.dump(value, width=10**6, Dumper=dumper, allow_unicode=True))
    return text.strip().removesuffix("...").strip()


def told(fact: "Fact") -> str:
    """Where a value comes from, on one line."""
    text = str(fact.by)
    if fact.points:
        names = [f"{name} ({by})" if by else name for name, by in fact.points]
        text += f" -> {', '.join(names)}"
        if fact.resolved is not None:
            text += f" = {inline(fact.resolved)}"
    # A comment is one line, whatever a value holds.
    return redact.text(" ".join(text.split()))


def commented(part: Any, told: "dict[Keys, str]") -> str:
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
        notes[max(value.end_mark.line, line - 1)] = note
    width = min(max([len(lines[number]) for number in notes], default=0), 48)
    for number, note in notes.items():
        lines[number] = f"{lines[number]:<{width}}  # {note}"
    return "\n".join(lines) + "\n"


def tree(part: Any, title: str, notes: "dict[Keys, str]") -> "Tree":
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
            if note := notes.get((*keys, key)):
                name.append(f"  {note}", style="not bold dim")
            tree.add(name)

    tree = Tree(Text(title, style="bold"), guide_style="dim")
    if isinstance(part, dict | list):
        add(tree, part, ())
    else:
        tree.add(Text(f"{yaml(part).strip()}  {notes.get((), '')}".rstrip()))
    return tree


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


def _layer_line(layer: "Layer") -> "Text":
    from rich.text import Text

    text = Text(layer.title, style="bold" if layer.config else "dim")
    if layer.file is not None:
        text.append(f"  {str(Place(layer.file, 0)).removesuffix(':0')}", style="not bold cyan")
    elif layer.config:
        text.append("  not there" if layer.asked else "  Hydra's own", style="not bold dim")
    if layer.chosen:
        replaced = layer.instead and layer.instead != layer.title.partition(": ")[2]
        instead = f", instead of {layer.instead}" if replaced else ""
        text.append(f"  <- {layer.chosen}{instead}", style="not bold yellow")
    return text
