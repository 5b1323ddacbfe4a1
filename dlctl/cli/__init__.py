"""The ``dlctl`` command: its subcommands, and errors turned into messages and exit codes."""

import gc
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Annotated

import typer

from dlctl import __version__
from dlctl.cli import complete, words
from dlctl.errors import DlctlError, Interrupted, UsageError, disk_full
from dlctl.runs import streams
from dlctl.runs.stop import Stop

# The commands that compose a config, and whose users may know Hydra's options.
_COMPOSING = ("train", "debug", "eval", "predict", "show-config", "check", "sweep")

# Command -> its module and what --help says of it, which then need not be imported.
COMMANDS = {
    "train": ("train", "Train a model, then test its best checkpoint."),
    "eval": ("eval", "Evaluate a checkpoint with the config it was trained with."),
    "predict": ("predict", "Predict a split of the data, one row a sample in the order of the data."),
    "sweep": ("sweep", "Search for the best values of a config, in several trials at once."),
    "study": ("study", "Look at searches: their trials and the best of them; stop one."),
    "new": ("new", "Make a project, a data set, a model, an experiment or a search that works at once."),
    "new-experiment": (
        "new_experiment",
        "Make an experiment: a config that combines what there is, or what a run was.",
    ),
    "debug": ("debug", "Run briefly to find faults: default, fdr, limit, overfit or profiler."),
    "show-config": ("show_config", "Show the config as a command would compose it, and explain it."),
    "check": ("check", "Find what is wrong with a config before it costs an hour."),
    "parse-conllu": ("parse_conllu", "Look into treebanks in CoNLL-U: count, draw, validate, convert."),
    "list": ("list_", "List the groups of configs and their options."),
    "doctor": ("doctor", "Tell what is installed, what is found here and what is wrong."),
    "runs": ("runs", "List runs, show one."),
    "migrate": ("migrate", "List what dlctl replaces in a project cloned from lightning-hydra-template."),
}


def application(names: Sequence[str]) -> typer.Typer:
    """The command line, with some of its commands ready to run and the others by name and summary only."""
    app = typer.Typer(
        name="dlctl",
        help="Compose a config, train, evaluate and predict with Hydra and PyTorch Lightning.",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, (file, summary) in COMMANDS.items():
        if name not in names:
            app.command(name, help=summary)(lambda: None)
            continue
        module = import_module(f"dlctl.cli.{file}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(module.command)
    return app


def _show_version(value: bool) -> None:
    if value:
        print(f"dlctl {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show tracebacks of errors; works anywhere.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    if complete.VARIABLE in os.environ:
        # Somebody waits for a word. To collect garbage and to take down a hundred modules one by one
        # would be a tenth of the wait.
        gc.disable()
        os._exit(run([]))
    streams.keep()
    with Stop(early=True) as stop:
        try:
            code = run(sys.argv[1:])
        except (Interrupted, KeyboardInterrupt) as error:
            code = getattr(error, "exit_code", 130)
        try:
            # Not left to the interpreter, whose exit code for a failure says nothing.
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            sys.stdout = None
        except OSError as error:
            code = code or _failed(error, sys.argv[1:], traceback=False)
            sys.stdout = None
        # Everything is recorded: from here on a signal has nothing to wait for.
        stop.default()
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run a command line; its exit code.

    Exceptions become messages here and nowhere else.
    """
    words.pass_lightly()
    if complete.VARIABLE in os.environ:
        return complete.answer(application(complete.named(COMMANDS)))
    if argv and argv[0].startswith(("--install-completion", "--show-completion")):
        complete.prepare_scripts(argv)
    traceback = "--traceback" in argv
    argv = [word for word in argv if word != "--traceback"]
    if argv in ([], ["new"], ["runs"], ["study"]):
        argv = [*argv, "--help"]
    try:
        _refuse_multirun(argv)
        return int(application(argv[:1])(argv, prog_name="dlctl", standalone_mode=False) or 0)
    except (Exception, KeyboardInterrupt, Interrupted) as error:
        return _failed(error, argv, traceback)
    except SystemExit as error:
        # Typer and Rich leave so where nobody reads on.
        if isinstance(error.__context__, BrokenPipeError):
            return _failed(error.__context__, argv, traceback)
        raise


def _refuse_multirun(argv: list[str]) -> None:
    if argv[:1] and argv[0] in _COMPOSING and {"-m", "--multirun"} & set(argv):
        rest = shlex.join(word for word in argv[1:] if word not in ("-m", "--multirun"))
        single = f"dlctl {argv[0]} takes one run at a time"
        raise UsageError(
            "-m is Hydra's: dlctl has a command of its own for many runs",
            hint=single if argv[0] in ("eval", "predict") else f"dlctl sweep {rest}".rstrip(),
        )


def _failed(error: BaseException, argv: list[str], traceback: bool) -> int:
    from dlctl.cli import render

    if isinstance(error, BrokenPipeError):
        # Somebody like `head` has seen enough; the interpreter must not flush into it again.
        sys.stdout = None
        return 0
    if traceback:
        import traceback as tracebacks

        from dlctl import redact, terminal

        text = redact.text("".join(tracebacks.format_exception(error)))
        print(terminal.block(text), end="", file=sys.stderr)
    if isinstance(error, Interrupted):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return 130
    told = error if isinstance(error, DlctlError) else _told(error, argv)
    as_json = "--json" in argv or "--format=json" in argv or ("--format", "json") in pairwise(argv)
    try:
        render.error(told, as_json=as_json)
    except OSError:
        # Nothing more goes to stdout, and that is what is to be told.
        render.error(told, as_json=False)
    return told.exit_code


def _told(error: BaseException, argv: list[str]) -> DlctlError:
    """An error that is not dlctl's own: a wrong command line, or a fault of dlctl."""
    if hasattr(error, "format_message"):
        command = next((word for word in argv if not word.startswith("-")), "")
        help_of = f"dlctl {command} --help" if command in COMMANDS else "dlctl --help"
        return UsageError(str(error.format_message()).rstrip("."), hint=f"see {help_of}")
    if isinstance(error, OSError) and error.filename:
        return DlctlError(f"{error.strerror}: {error.filename}")
    if (full := disk_full(error)) is not None:
        return DlctlError(f"cannot write what was found: {full.strerror}")
    return DlctlError(f"{type(error).__name__}: {error}", hint="a fault of dlctl; --traceback shows where")
