"""The options that several commands share."""

import errno
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from dlctl.cli import complete
from dlctl.errors import ConfigError, UsageError
from dlctl.project import shown

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[OVERRIDES]...",
        autocompletion=complete.overrides,
        help="Values of the config: key=value, +key=value to add one, ~key to remove one.",
        show_default=False,
    ),
]
Searched = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[OVERRIDES]...",
        autocompletion=complete.overrides,
        help="Values of the config; key=a,b or 'key=interval(0,1)' is searched.",
        show_default=False,
    ),
]
RunAndOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|CKPT [OVERRIDES]...",
        autocompletion=complete.run_and_overrides,
        help="`last`, a run's id, its directory or a checkpoint file; then values of the config.",
        show_default=False,
    ),
]
DebugAndOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME] [OVERRIDES]...",
        autocompletion=complete.debug_and_overrides,
        help="default, fdr, limit, overfit or profiler; then values of the config.",
        show_default=False,
    ),
]
Experiment = Annotated[
    str | None,
    typer.Option(
        "--exp",
        "--experiment",
        metavar="NAME",
        help="An experiment config.",
        autocompletion=complete.experiments,
    ),
]
Config = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="NAME",
        help="The primary config: train, eval or another one in configs.",
        autocompletion=complete.configs,
    ),
]
Debug = Annotated[
    str | None,
    typer.Option("--debug", metavar="NAME", help="A debug config.", autocompletion=complete.debugs),
]
Tags = Annotated[str | None, typer.Option("--tags", metavar="A,B", help="Tags to tell runs apart by.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of all random generators.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--ckpt", metavar="PATH", help="Start from the full state of a checkpoint."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="PATH|RUN",
        help="Start a new training from weights: of a run, a checkpoint, a state_dict or safetensors.",
        autocompletion=complete.runs,
    ),
]
WeightsPartial = Annotated[
    bool,
    typer.Option("--weights-partial", help="Take the weights that fit the model and report the rest."),
]
WhichCheckpoint = Annotated[
    str,
    typer.Option(
        "--ckpt",
        metavar="best|last|PATH",
        help="Which checkpoint of the run.",
        autocompletion=complete.checkpoints,
    ),
]
TrustCheckpoint = Annotated[
    bool,
    typer.Option(
        "--trust-checkpoint",
        help="Use a run or checkpoint that no run of yours made here: it can run any code.",
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume", metavar="RUN", help="Go on with a run, in its directory.", autocompletion=complete.runs
    ),
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over", help="With --resume: the run's process died on a host or container that is gone."
    ),
]
Storage = Annotated[
    str | None,
    typer.Option("--storage", metavar="URL|FILE", help="Holds the study: an Optuna URL or a journal file."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check and show the config; run and write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Split = Annotated[str, typer.Option("--split", help="train, val or test.", autocompletion=complete.splits)]


def as_overrides(
    overrides: Sequence[str] | None,
    *,
    experiment: str | None = None,
    debug: str | None = None,
    tags: str | None = None,
    seed: int | None = None,
) -> list[str]:
    """What the options say, as overrides; those that were written out come last and win.

    Raises:
        UsageError: a word that is no override.
    """
    given = list(overrides or [])
    for word in given:
        if not word.partition("=")[0].strip("~+") or ("=" not in word and not word.startswith("~")):
            raise UsageError(
                f"'{word}' is not an override",
                hint="write KEY=VALUE to set a value, ~KEY to remove it",
            )
    options = []
    if experiment is not None:
        options.append(f"experiment={experiment}")
    if debug is not None:
        options.append(f"debug={debug}")
    if tags is not None:
        words = [word.strip().replace('"', "") for word in tags.split(",") if word.strip()]
        quoted = ",".join(f'"{word}"' for word in words)
        options.append(f"tags=[{quoted}]")
    if seed is not None:
        options.append(f"seed={seed}")
    return [*options, *given]


def quoted(text: str) -> str:
    """A text as the value of an override, in quotes if it would mean something else without."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./@-]*", text) and text.lower() not in ("null", "true", "false")
    return text if plain else "'" + text.replace("\\'", "\\\\'").replace("'", "\\'") + "'"


def checked_split(split: str) -> str:
    """One of the splits of a data set.

    Raises:
        UsageError: it is none.
    """
    if split not in ("train", "val", "test"):
        raise UsageError(f"there is no split '{split}'", hint="--split train, val or test")
    return split


def check_output(file: Path) -> None:
    """Find out before the work whether its result can be written; make the folder for it.

    Raises:
        ConfigError: it cannot.
    """
    from tempfile import TemporaryFile

    try:
        with suppress(FileExistsError):
            file.absolute().parent.mkdir(parents=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not file.exists() or file.is_file():
            TemporaryFile(dir=file.absolute().parent).close()
        if file.exists() and not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"cannot write {shown(file)}: {reason}"
        raise ConfigError(message, hint="name another file: --output FILE") from error


def _is_run(word: str) -> bool:
    """Whether a word that looks like an override names a run: an id may hold the overrides."""
    from dlctl.project import Project
    from dlctl.runs import store

    if Path(word).exists():
        return True
    runs, unreadable = store.survey(Project.find())
    return any(word in (run.id, run.name) for run in runs) or any(
        word == each.dir.name for each in unreadable
    )


def target_and_overrides(words: Sequence[str] | None) -> tuple[str, list[str]]:
    """The run or checkpoint that is meant, and the overrides after it.

    ``ckpt_path=PATH`` as an override names a checkpoint too; its value need not be quoted.

    Raises:
        UsageError: nothing is named.
    """
    rest = list(words or [])
    for word in rest:
        if word.startswith("ckpt_path="):
            rest.remove(word)
            return word.partition("=")[2].strip("'\""), rest
    if not rest or (("=" in rest[0] or rest[0].startswith("~")) and not _is_run(rest[0])):
        raise UsageError(
            "no run or checkpoint is named",
            hint="name `last`, a run's id (dlctl runs list), its directory or a checkpoint file",
        )
    return rest[0], rest[1:]
