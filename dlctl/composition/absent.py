"""Options and groups that defaults lists and command lines ask for and that are not there."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from dlctl.composition import config_store
from dlctl.composition.config_store import all_groups, all_options
from dlctl.composition.defaults import WHOLE, Entry, entries
from dlctl.composition.faults import close, meant
from dlctl.composition.file_faults import header, names_package, unpackaged
from dlctl.composition.reach import Reach, Unused, chosen
from dlctl.errors import ConfigError, DlctlError
from dlctl.project import Place, Project, shown


def absent(project: Project, name: str, found: Reach, choices: Sequence[Override]) -> list[DlctlError]:
    """The options and groups that are asked for and that are not there, each with who asks."""
    faults: list[DlctlError] = []
    for config in found.missing:
        if (group := chosen(choices, config)) is not None:
            faults.append(no_option(project, group, config.removeprefix(f"{group}/")))
        elif (asked := found.asked(config)) is not None:
            entry, group = asked
            faults.append(no_option(project, group, config.removeprefix(f"{group}/"), entry))
    for unused in found.unused:
        # What is not there may have brought what others override. A group that is nowhere nobody brings.
        if not found.missing or not all_options(project, unused.group):
            faults.append(_unused(project, name, unused, found))
    return faults


def no_option(project: Project, group: str, option: str, entry: Entry | None = None) -> ConfigError:
    """An option that its group does not have.

    Args:
        project: whose groups.
        group: perhaps there is none of that name either.
        option: the option.
        entry: the entry of a defaults list that asks for it; None if the command line does.
    """
    place = Place(entry.file, entry.line) if entry else None
    known = all_options(project, group)
    if not known:
        groups = all_groups(project)
        similar = close(group, groups)
        hint = _with_slash(project, entry) or meant(similar) or f"there are: {', '.join(groups)}"
        return ConfigError(
            f"there is no group '{group}'",
            hint=hint,
            key=group,
            suggestions=similar,
            place=place,
            topic="defaults",
        )
    known = [name for name in known if name != option]
    similar = close(option, known, cutoff=0.5)
    label = "experiment" if group == "experiment" else f"option of '{group}'"
    sign = ": " if place else "="
    unread = [folder / group / f"{option}.yml" for folder in project.folders]
    odd = [folder / group / f"{option}.yaml" for folder in project.folders]
    lines = [
        config_store.reason(project, f"{group}/{option}"),
        *(f"{shown(file)} is not read: the name must end in .yaml" for file in unread if file.is_file()),
        *(f"{shown(file)} is a folder and no file" for file in odd if file.is_dir()),
        *(
            f"{shown(file)} is a link to what is not there"
            for file in odd
            if file.is_symlink() and not file.exists()
        ),
        meant([f"{group}{sign}{each}" for each in similar]),
        f"there are: {', '.join(known)}",
    ]
    return ConfigError(
        f"there is no {label} '{option}'",
        hint="\n".join(filter(None, lines)),
        key=group,
        suggestions=similar,
        place=place,
        topic="defaults",
    )


def _with_slash(project: Project, entry: Entry | None) -> str | None:
    """What an entry was meant to be that names a group from the top and forgets the slash."""
    if entry is None or entry.name.startswith("/") or not entry.options:
        return None
    if not all_options(project, entry.name):
        return None
    return f"did you mean '- override /{entry.name}: {entry.written}'?"


def _unused(project: Project, name: str, unused: Unused, found: Reach) -> ConfigError:
    """An option for a group that is not among the defaults."""
    key, inside, group = unused.key, unused.inside, unused.group
    entry = None
    if inside:
        standing = entries(found.files[inside]) if inside in found.files else []
        named = (each for each in standing if each.override and group in each.paths(inside))
        entry = next(named, None)
    whole = str(inside).partition("/")[0]
    if entry and whole in WHOLE and f"@{whole}" in key and not names_package(entry.file):
        return unpackaged(entry.file, whole)
    if entry and "@" in key and (misspelt := next(header(entry.file), None)):
        return misspelt
    if entry and not all_options(project, group) and not group.startswith("hydra/"):
        return no_option(project, group, entry.written, entry)
    options = ", ".join(all_options(project, group)) or "none"
    add = f"to add it: +{key}=OPTION (options: {options})"
    if entry:
        add = f"without 'override' it is added: - /{group}: {entry.written}"
    return ConfigError(
        f"'{key}' is not among the defaults of '{name}'",
        hint="\n".join(filter(None, (meant(unused.known), None if unused.known and entry else add))),
        key=key,
        place=Place(entry.file, entry.line) if entry else None,
        topic="defaults",
    )
