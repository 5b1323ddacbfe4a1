"""Command lines of a template's scripts, and what they are under dlctl."""

import re
from dataclasses import dataclass

# What a shell makes of the rest of a line: the next command, a file, a comment.
_END = re.compile(r"""(?:"[^"]*"|'[^']*'|\\.|[^\s;&|<>"'`\\#])+""")
_SCRIPT = r"(?:\./)?(?:src[./])?(?P<script>train|eval)(?:\.py)?(?=[\s\"'`;&|>\\)]|$)"
_PYTHON = r"python[\d.]*(?:\s+-[uO])*\s+(?:-m\s+(?=src\.|train\b|eval\b))?"
_TORCHRUN = r"(?:torchrun|python[\d.]*\s+-m\s+torch\.distributed\.(?:run|launch))(?P<options>(?:\s+-\S+)*)\s+"
_COMMAND = re.compile(rf"(?<![\w./-])(?:{_TORCHRUN}|{_PYTHON}){_SCRIPT}")
# Hydra's own options, and what becomes of each.
_OPTIONS = {
    "--config-name": "dlctl train --config NAME; dlctl eval composes what the run was",
    "-cn": "dlctl train --config NAME; dlctl eval composes what the run was",
    "--config-path": "dlctl reads configs/",
    "-cp": "dlctl reads configs/",
    "--config-dir": "dlctl reads configs/",
    "-cd": "dlctl reads configs/",
}


@dataclass(frozen=True)
class Translated:
    """A command line as dlctl has it.

    Attributes:
        old: as it was written, on one line.
        new: the same under dlctl.
        notes: what of it is not carried over, and why.
    """

    old: str
    new: str
    notes: tuple[str, ...] = ()


def translated(line: str) -> Translated | None:
    """The first command of a template's script in a line, under dlctl; None if there is none."""
    found = _COMMAND.search(line)
    if found is None:
        return None
    words, end = _words(line, found.end())
    start = _environment(line, found.start())
    new, notes = _dlctl(found["script"], words)
    torchrun = found.groupdict().get("options")
    if torchrun is not None and "-m dlctl" not in new:
        new = f"torchrun{torchrun} -m {new}"
    return Translated(line[start:end].strip(), f"{line[start : found.start()]}{new}".strip(), tuple(notes))


def _environment(line: str, start: int) -> int:
    """Where the variables and launchers before a command begin: ``CUDA_VISIBLE_DEVICES=0 srun python``."""
    before = re.search(r"(?:(?:[A-Z_][A-Z\d_]*=\S*|srun|nohup|poetry run|uv run|pdm run)\s+)+$", line[:start])
    return before.start() if before else start


def _words(line: str, start: int) -> tuple[list[str], int]:
    """The words after a command, as they are written, and where it ends."""
    words: list[str] = []
    while match := re.compile(r"[ \t]*").match(line, start):
        word = _END.match(line, match.end())
        if word is None or (match.end() == start and words):
            break
        if re.fullmatch(r"\d", word[0]) and line[word.end() : word.end() + 1] in (">", "<"):
            break
        if not _is_argument(word[0], words[-1:]):
            break
        words.append(word[0])
        start = word.end()
    return words, start


def _is_argument(word: str, before: list[str]) -> bool:
    """Whether a word belongs to the command; where one stands in a sentence, that goes on after it."""
    if re.match(r"--?[a-z]", word) or (before and before[0] in (*_OPTIONS, "--cfg", "-c")):
        return True
    return bool(re.match(r"""["'+]*[\w./@$-]+=|~\w|["']?\$""", word))


def _dlctl(script: str, words: list[str]) -> tuple[str, list[str]]:
    """The command of dlctl with these words."""
    notes: list[str] = []
    rest: list[str] = []
    several = shows = False
    values = iter(words)
    for word in values:
        bare = word.strip("\"'")
        name, equals, _ = bare.partition("=")
        if bare in ("-m", "--multirun") or bare == "hydra.mode=MULTIRUN":
            several = True
        elif bare in ("--cfg", "-c") or bare.startswith("--cfg="):
            shows = True
            if not equals:
                next(values, None)
        elif name in _OPTIONS:
            notes.append(f"{name} is not carried over: {_OPTIONS[name]}")
            if not equals:
                next(values, None)
        else:
            rest.append(word)
    if shows:
        return " ".join(["dlctl show-config", *rest]), notes
    if script == "eval":
        return _eval(rest), notes
    return (_sweep(rest, notes) if several else _train(rest, notes)), notes


def _eval(words: list[str]) -> str:
    paths = [_value(word) for word in words if _key(word) == "ckpt_path"]
    return " ".join(["dlctl eval", paths[0] if paths else "last", *_without(words, "ckpt_path")])


def _train(words: list[str], notes: list[str]) -> str:
    words = _launched(words, notes, jobs=False)
    if names := [_value(word) for word in words if _key(word) == "debug"]:
        return " ".join(["dlctl debug", names[0], *_without(words, "debug")])
    return " ".join(["dlctl train", *(_option(word) for word in words)])


def _sweep(words: list[str], notes: list[str]) -> str:
    return " ".join(["dlctl sweep", *(_option(word) for word in _launched(words, notes, jobs=True))])


def _launched(words: list[str], notes: list[str], *, jobs: bool) -> list[str]:
    """The words without those for Hydra's launchers and sweepers, which dlctl does not use."""
    kept = []
    for word in words:
        key = _key(word)
        if jobs and key == "hydra.launcher.n_jobs":
            kept.append(f"--jobs {_value(word)}")
        elif re.match(r"hydra[./]launcher\b", key):
            instead = "dlctl sweep --jobs N runs trials at once on this machine"
            notes.append(f"{word} is not carried over: {instead}")
        elif key == "hydra/sweeper":
            notes.append(f"{word} is not carried over: dlctl sweep searches with Optuna itself")
        elif jobs and key == "hydra.sweeper.n_trials":
            kept.append(f"--trials {_value(word)}")
        else:
            kept.append(word)
    return kept


def _option(word: str) -> str:
    """A word as an option of dlctl, where there is a shorter one for it."""
    name = {"experiment": "--exp", "hparams_search": "--search", "ckpt_path": "--ckpt"}.get(_key(word))
    value = _value(word)
    # Several values are searched, which is written as an override.
    plain = re.fullmatch(r"[\w./${}=-]+", value)
    return f"{name} {value}" if name and plain else word


def _key(word: str) -> str:
    return word.strip("\"'").lstrip("+").partition("=")[0]


def _value(word: str) -> str:
    """The value of an override; quotes around all of it belong to the whole word."""
    value = word.strip("\"'").partition("=")[2] if word[:1] in "\"'" else word.partition("=")[2]
    return value.strip("\"'")


def _without(words: list[str], key: str) -> list[str]:
    return [word for word in words if _key(word) != key]
