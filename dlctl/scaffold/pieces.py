"""A new data set or model: its code, its config and its test."""

from collections.abc import Sequence
from pathlib import Path

from dlctl.project import Project
from dlctl.scaffold import names
from dlctl.scaffold.render import render
from dlctl.scaffold.writing import File

# Kind -> what it is, for those who are asked.
DATA = {
    "image-folder": "images in folders, one folder a class",
    "csv": "a CSV or Parquet table, one column the target",
    "text": "lines of text, each with its class",
    "conllu": "a CoNLL-U treebank",
    "tensors": "tensors in memory",
}
MODELS = {
    "classifier": "names the class of a sample",
    "regressor": "gives a number for a sample",
    "tagger": "gives a tag to every word of a sentence",
}


def data(project: Project, name: str, kind: str) -> list[File]:
    """The files of a new data set.

    Raises:
        DlctlError: the name will not do.
    """
    return _files(project, "data", name, kind, {"datamodule": f"{name}_datamodule"})


def model(project: Project, name: str, kind: str) -> list[File]:
    """The files of a new model.

    Raises:
        DlctlError: the name will not do.
    """
    return _files(project, "model", name, kind, {"module": f"{name}_module", "net": f"components/{name}_net"})


def _files(project: Project, group: str, name: str, kind: str, code: dict[str, str]) -> list[File]:
    names.refuse_bad(name, "data set" if group == "data" else "model")
    config = config_file(project, group, name)
    package = names.package_of(project)
    part = "data" if group == "data" else "models"
    root, folder = project.root, f"{group}/{kind}"
    values = {"package": package, "name": name, "camel": names.camel(name)}
    first = next(iter(code.values()))
    found = [
        File(root / package / part / f"{path}.py", render(f"{folder}/{each}.py", **values))
        for each, path in code.items()
    ]
    found.append(File(config, render(f"{folder}/config.yaml", **values)))
    found.append(File(root / "tests" / part / f"test_{first}.py", render(f"{folder}/test.py", **values)))
    inits = [root / package / part, *([root / package / part / "components"] if group == "model" else [])]
    return [
        *(File(each / "__init__.py", "") for each in inits if not (each / "__init__.py").exists()),
        *found,
    ]


def about(files: Sequence[File]) -> str:
    """What the config among the files of a data set or model says that it is."""
    (config,) = [file for file in files if file.path.suffix == ".yaml"]
    return config.text.partition("\n")[0].removeprefix("# ")


def config_file(project: Project, group: str, name: str) -> Path:
    """Where a new config of a group goes.

    Raises:
        ConfigError: one of that name comes with dlctl.
    """
    names.refuse_taken(project, group, name)
    return (project.configs or project.root / "configs") / group / f"{name}.yaml"
