"""What is wrong with a config file by itself, whatever it is composed with."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from omegaconf import grammar_parser
from omegaconf.errors import GrammarParseError

from dlctl.composition import config_files
from dlctl.composition.defaults import entries, misshapen
from dlctl.composition.faults import close, meant
from dlctl.composition.keys import Keys, dotted, walk
from dlctl.errors import ConfigError, first_line
from dlctl.project import Place, shown


def by_itself(file: Path) -> Iterator[ConfigError]:
    """What is wrong with a file by itself: its package, its defaults list, its keys and interpolations.

    Raises:
        yaml.YAMLError: it cannot be read.
    """
    yield from header(file)
    yield from order(file)
    for found in misshapen(file):
        yield _misshapen(file, *found)
    yield from _misnamed(file)
    for node in _nameless(config_files.nodes(file)):
        yield ConfigError(
            f"'{node.value or 'null'}' is no name of a key",
            hint=f"if it is to be a word: '{node.value or 'null'}'",
            place=Place(file, node.start_mark.line + 1),
            topic="key",
        )
    for _, fault in unreadable(file):
        yield fault


def _misshapen(file: Path, line: int, message: str, odd: str | None) -> ConfigError:
    hint = "an entry is written '- group: option' or '- config'"
    if odd is not None:
        hint = meant(close(odd, ["override", "optional"])) or "leave it out"
        if odd.startswith("/"):
            hint = f"a colon belongs behind a group: - override {odd}: OPTION"
    return ConfigError(message, hint=hint, place=Place(file, line), topic="defaults")


def keywords(file: Path) -> Iterator[ConfigError]:
    """Entries of a defaults list with a word that Hydra passes over, such as ``overide``."""
    yield from (_misshapen(file, *found) for found in misshapen(file) if found[2] is not None)


def _misnamed(file: Path) -> Iterator[ConfigError]:
    """A defaults list under a name that Hydra does not know."""
    content = config_files.values(file)
    for key, value in content.items() if isinstance(content, dict) and "defaults" not in content else ():
        if not isinstance(value, list) or not close(str(key).lower(), ["defaults"], cutoff=0.8):
            continue
        shaped = all(isinstance(each, str) or (isinstance(each, dict) and len(each) == 1) for each in value)
        if shaped and any(each == "_self_" or isinstance(each, dict) for each in value):
            found = config_files.find(config_files.nodes(file), (key,))
            yield ConfigError(
                f"'{key}' is no defaults list",
                hint="did you mean defaults?",
                key=str(key),
                suggestions=["defaults"],
                place=Place(file, found[1] if found else 1),
                topic="key",
            )


def _nameless(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Keys that YAML reads as null, which no config can have."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nameless(item)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.tag.endswith(":null"):
            yield key
        yield from _nameless(value)


def names_package(file: Path) -> bool:
    """Whether a config says itself where its values go."""
    return "@package" in config_files.text(file)[:512]


def unpackaged(file: Path, group: str) -> ConfigError:
    """An experiment or the like that does not say that it is about the whole config."""
    right = "# @package _global_"
    return ConfigError(
        f"what this file sets goes below '{group}', where nothing reads it",
        hint=f"the first line must be: {right}",
        suggestions=[right],
        place=Place(file, 1),
        topic="package",
    )


def holds_no_config(file: Path, kind: str) -> ConfigError:
    """A file that holds a list or a word."""
    what = {"list": "a list", "str": "a word"}.get(kind, "a single value")
    message, hint = f"the file holds {what}", "a config is written as key: value"
    return ConfigError(message, hint=hint, place=Place(file, 1), topic="yaml")


def not_to_be_read(file: Path, error: OSError) -> ConfigError:
    """A file that the system does not give."""
    hint = f"look at who may read it: ls -l {shown(file)}"
    if file.is_dir():
        hint = "a config is a file; give the folder another name"
    elif file.is_symlink() and not file.exists():
        hint = "it is a link to what is not there"
    message = f"the file cannot be read: {error.strerror}"
    return ConfigError(message, hint=hint, place=Place(file, 1), topic="yaml")


def broken_yaml(error: yaml.YAMLError) -> ConfigError:
    """A file that is not YAML: the place, the line itself and a caret below what is wrong."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    context, began = getattr(error, "context", None) or "", getattr(error, "context_mark", None)
    if began and re.search("simple key|quoted scalar", context):
        # What is not closed, or lacks its colon, is noticed lines later.
        mark = began
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or first_line(error)
    if mark is None or not Path(mark.name).is_file():
        file = Path(str(getattr(error, "name", "")))
        return (
            _no_text(file, problem) if file.is_file() else ConfigError(f"not YAML: {problem}", topic="yaml")
        )
    lines = config_files.text(Path(mark.name)).splitlines()
    number, column = mark.line, mark.column
    while number and (number >= len(lines) or not lines[number].strip()):
        # What is missing at the end of the file is missing behind the last thing in it.
        number -= 1
        column = len(lines[number]) if number < len(lines) else 0
    if began and "flow" in context and began.line != number:
        problem += f" (of what line {began.line + 1} opens)"
    return _pointed(Path(mark.name), lines, number, column, problem)


def _no_text(file: Path, problem: str) -> ConfigError:
    """A file with a byte that is no UTF-8, or a character that YAML does not allow."""
    content = file.read_bytes()
    try:
        text = content.decode("utf-8")
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        before = text[: found.start()] if found else ""
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        problem = f"the file is not UTF-8 (byte 0x{content[error.start]:02x})"
    lines = before.split("\n")
    return _pointed(file, config_files.text(file).split("\n"), len(lines) - 1, len(lines[-1]), problem)


def _pointed(file: Path, lines: list[str], number: int, column: int, problem: str) -> ConfigError:
    line = lines[number].rstrip("\r") if lines else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        problem = "a tab indents this line, and YAML takes spaces only"
    elif "mapping values are not allowed" in problem and ": " in line[:column]:
        problem = "a value with a colon and a space in it must be quoted"
    # A terminal would obey some of what YAML does not allow.
    line = "".join(each if each.isprintable() else "?" for each in line.replace("\t", " "))
    return ConfigError(
        f"not YAML: {problem}",
        hint=f"{line}\n{' ' * column}^",
        place=Place(file, number + 1),
        topic="yaml",
    )


def unreadable(file: Path) -> Iterator[tuple[Keys, ConfigError]]:
    """The interpolations of a file that cannot be read, and the way down to each."""
    for keys, value in walk(config_files.values(file)):
        if not isinstance(value, str) or "${" not in value:
            continue
        try:
            grammar_parser.parse(value)
        except GrammarParseError as error:
            found = config_files.find(config_files.nodes(file), keys)
            reason = first_line(error)
            yield (
                keys,
                ConfigError(
                    f"the interpolation '{value}' cannot be read: {reason}",
                    hint="an interpolation is written ${section.key}",
                    key=dotted(keys),
                    place=Place(file, found[1] if found else 1),
                    topic="interpolation",
                ),
            )


def header(file: Path) -> Iterator[ConfigError]:
    """A ``# @package`` line that Hydra would not understand as it was meant."""
    for number, line in enumerate(config_files.text(file).splitlines()[:20], 1):
        match = re.match(r"#\s*@(\w+)\s+(\S+)", line)
        if match is None:
            continue
        word, package = match.groups()
        if word != "package" and close(word, ["package"]):
            message = f"'@{word}' means nothing here"
            yield ConfigError(
                message, hint="did you mean @package?", place=Place(file, number), topic="package"
            )
        elif package not in ("_global_", "_group_") and close(package, ["_global_", "_group_"], cutoff=0.7):
            similar = close(package, ["_global_", "_group_"], cutoff=0.7)
            yield ConfigError(
                f"there is no package '{package}'",
                hint=meant(similar),
                suggestions=similar,
                place=Place(file, number),
                topic="package",
            )


def order(file: Path) -> Iterator[ConfigError]:
    """A defaults list that says twice where the file itself comes."""
    own = [entry for entry in entries(file) if entry.name == "_self_"]
    if len(own) > 1:
        place = Place(file, own[1].line)
        yield ConfigError(
            "_self_ stands here a second time", hint="leave one out", place=place, topic="defaults"
        )
