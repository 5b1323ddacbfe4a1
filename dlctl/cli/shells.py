"""How bash, zsh and fish ask for completions, and how they take the answer.

Built on Typer's classes, which are not part of its API: ``dlctl.cli.complete`` imports this where
Typer's own completion can take its place, should that fail.
"""

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from typer import _completion_classes as stock
from typer import _completion_shared as shared

from dlctl import terminal

# Typer's own script for bash puts a space behind `model=` and `trainer.`, where something follows.
_BASH = """
%(complete_func)s() {
    local IFS=$'\\n'
    # Read by line, not expanded as words: `[dev]` is a pattern to bash.
    mapfile -t COMPREPLY < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \\
        COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" \\
        %(autocomplete_var)s=complete_bash "${1/#\\~/$HOME}" 2>/dev/null)
    compopt -o nosort 2>/dev/null
    case "${COMPREPLY[*]}" in *[=.]) compopt -o nospace ;; esac
}

complete -o default -F %(complete_func)s %(prog_name)s
"""

# Typer's does nothing on the first TAB of a shell, which only loads it. Zsh would put words with the
# same help on one line, in another order.
_ZSH = """
#compdef %(prog_name)s

%(complete_func)s() {
  eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" \\
    %(autocomplete_var)s=complete_zsh ${(Q)~words[1]} 2>/dev/null)"
}

zstyle ':completion:*:*:%(prog_name)s:*' list-grouped no
compdef %(complete_func)s %(prog_name)s
if [[ ${funcstack[1]} == _%(prog_name)s ]]; then
  %(complete_func)s "$@"
fi
"""

# Typer's starts the program twice for every TAB and loses the order.
_FISH = """
function %(complete_func)s
    set --global %(complete_func)s_found (env _TYPER_COMPLETE_ARGS=(commandline -cp) \\
        _TYPER_COMPLETE_FISH_ACTION=get-args %(autocomplete_var)s=complete_fish %(prog_name)s 2>/dev/null)
    test (count $%(complete_func)s_found) -gt 0
end

complete --command %(prog_name)s --no-files --keep-order \\
    --condition %(complete_func)s --arguments '$%(complete_func)s_found'
"""


class Bash(stock.BashComplete):
    """Bash cuts words at ``=`` and ``:``, and wants only the piece behind the last cut."""

    _before = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one at the cursor, and that one, glued together again."""
        at = int(os.environ["COMP_CWORD"])
        words = os.environ["COMP_WORDS"].split("\n")[: at + 1]
        if "COMP_POINT" in os.environ:
            # What stands behind the cursor, in the middle of a word, is not to be completed.
            line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
            while not line.endswith(words[-1]):
                words[-1] = words[-1][:-1]
        *args, incomplete = map(_unquoted, glued(words))
        piece = "" if _cuts(words[-1]) else _unquoted(words[-1])
        self._before = len(incomplete) - len(piece)
        return args[1:], incomplete

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        """What may stand at the cursor."""
        return _whole_words(super().get_completions, args, incomplete)

    def format_completion(self, item: Any) -> str:
        """One line; without the pieces that stand there already."""
        return str(item.value)[self._before :]


class Zsh(stock.ZshComplete):
    """Zsh runs what it is given: a call of its own functions."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        """What may stand at the cursor."""
        return _whole_words(super().get_completions, args, incomplete)

    def complete(self) -> str:
        """A call of ``_describe``, without a space behind what is not yet complete; else files."""
        items = self.get_completions(*self.get_completion_args())
        if not items:
            return "compset -P '*='; _files"
        done = " ".join(map(self.format_completion, (item for item in items if not _goes_on(item))))
        open_ = " ".join(map(self.format_completion, (item for item in items if _goes_on(item))))
        lists = f"local -a done open; done=({done}); open=({open_})"
        return f"{lists}; _describe -V completion done -- open -S ''"

    def format_completion(self, item: Any) -> str:
        r"""``'value:help'``; a colon of the value is written ``\:``."""
        value = str(item.value).replace("\\", "\\\\").replace(":", "\\:")
        text = f"{value}:{_one_line(item)}" if item.help else value
        return "'" + text.replace("'", "'\\''") + "'"


class Fish(stock.FishComplete):
    """Fish takes whole words, a tab and help; it knows itself that nothing follows ``=`` and ``.``."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        """What may stand at the cursor."""
        return _whole_words(super().get_completions, args, incomplete)

    def format_completion(self, item: Any) -> str:
        """One line."""
        return f"{item.value}\t{_one_line(item)}" if item.help else str(item.value)


CLASSES: dict[str, type[Bash] | type[Zsh] | type[Fish]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def use_own_scripts() -> None:
    """Let --show-completion and --install-completion give the scripts above."""
    shared._completion_scripts.update({"bash": _BASH, "zsh": _ZSH, "fish": _FISH})


def glued(words: list[str]) -> list[str]:
    """Words as they were typed: ``model``, ``=``, ``mn`` is ``model=mn``."""
    whole: list[str] = []
    after_cut = False
    for word in words:
        # Nothing at all after a sign is a new word: there is a space in between.
        if whole and (_cuts(word) or (after_cut and word)):
            whole[-1] += word
        else:
            whole.append(word)
        after_cut = _cuts(word)
    return whole


def _cuts(word: str) -> bool:
    return bool(word) and not word.strip("=:@")


def _unquoted(word: str) -> str:
    """A word without its quotes, of which the last may not have been typed yet."""
    for end in ("", "'", '"'):
        with suppress(ValueError):
            return "".join(shlex.split(word + end))
    return word


def _whole_words(find: Callable[[list[str], str], list[Any]], args: list[str], incomplete: str) -> list[Any]:
    """What Typer finds, but ``--exp=NAME`` as one word, and files left to the shell."""
    option, sign, _ = incomplete.partition("=")
    before = f"{option}=" if sign and option.startswith("--") else ""
    # --traceback may stand anywhere.
    found = find([word for word in args if word != "--traceback"], incomplete)
    # A name that would steer the terminal is not offered.
    items = [item for item in found if item.type == "plain" and _is_safe(str(item.value))]
    for item in items:
        item.value = f"{before}{item.value}"
    return items


def _goes_on(item: Any) -> bool:
    return str(item.value).endswith(("=", "."))


def _is_safe(word: str) -> bool:
    return terminal.one_line(word) == word


def _one_line(item: Any) -> str:
    return terminal.one_line(" ".join(str(item.help).split()))
