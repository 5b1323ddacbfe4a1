"""``dlctl migrate``: what dlctl replaces in a project that was cloned from lightning-hydra-template."""

from typing import TYPE_CHECKING, Any

from dlctl.cli import options, render
from dlctl.migration.replaced import replaced
from dlctl.project import Project, shown

if TYPE_CHECKING:
    from dlctl.migration.replaced import File, Line, Replaced


def command(json: options.Json = False) -> None:
    """List what dlctl replaces in a project cloned from lightning-hydra-template.

    Files, requirements and command lines, each with its place. Nothing is changed.
    """
    project = Project.find()
    found = replaced(project)
    if json:
        render.as_json(_facts(found))
    elif not found.shaped:
        render.line("this is no project in the shape of lightning-hydra-template: nothing is replaced")
        render.note("it would have a configs/train.yaml, and a src/train.py or train.py with @hydra.main")
    else:
        _show(found)


def _show(found: "Replaced") -> None:
    if found.files:
        render.line("files that dlctl replaces")
    for file in found.files:
        render.line(f"  {shown(file.file)}  {file.by}")
        for place in file.used:
            render.line(f"    still imported in {place}")
    if found.requirements:
        render.line("requirements that dlctl brings")
    for line in found.requirements:
        render.line(f"  {line.place}  {line.old}")
    if found.commands:
        render.line("commands")
    for line in found.commands:
        render.line(f"  {line.place}  {line.old}")
        render.line(f"    {line.new}")
        for note in line.notes:
            render.line(f"    ({note})")
    for note in found.kept:
        render.note(note)
    if not (found.files or found.requirements or found.commands):
        render.line("nothing is left that dlctl replaces")
    render.note("nothing was changed")


def _facts(found: "Replaced") -> dict[str, Any]:
    return {
        "template": found.shaped,
        "files": [_file(each) for each in found.files],
        "requirements": [_line(each) for each in found.requirements],
        "commands": [{**_line(each), "new": each.new, "notes": list(each.notes)} for each in found.commands],
        "kept": found.kept,
    }


def _file(file: "File") -> dict[str, Any]:
    used = [{"file": str(place.file), "line": place.line} for place in file.used]
    return {"file": str(file.file), "by": file.by, "used": used}


def _line(line: "Line") -> dict[str, Any]:
    return {"file": str(line.place.file), "line": line.place.line, "old": line.old}
