import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from zipfile import ZipFile

import pexpect
import pytest

from dlctl.cli import complete, shells
from dlctl.composition.compose import compose
from dlctl.project import Project
from dlctl.runs import manifest
from dlctl.runs.manifest import Manifest
from tests.conftest import Dlctl

SHELLS = ("bash", "zsh", "fish")
# A key that no shell uses shows the line as it is, and empties it.
SHOW = "\x18p"
RC = {
    "bash": """PS1='@ '; source "$HOME/script"
show() { printf '<<%s>>\\n' "$READLINE_LINE"; READLINE_LINE= READLINE_POINT=0; }
bind -x '"\\C-xp": show'
""",
    "zsh": """PS1='@ '; autoload -Uz compinit; compinit -u -D; source "$HOME/script"
show() { zle -I; print -r -- "<<$BUFFER>>"; BUFFER= }
zle -N show; bindkey '^Xp' show
""",
    "fish": """function fish_prompt; echo '@ '; end; function fish_greeting; end; source $HOME/script
bind \\cxp 'printf "<<%s>>\\n" (commandline); commandline ""; commandline -f repaint'
""",
}
START = {
    "bash": ["--noprofile", "--rcfile", "{rc}", "-i"],
    "zsh": ["-d", "-i"],
    "fish": ["--no-config", "-i", "--init-command", "source {rc}"],
}


def run_dir(root: Path, name: str, kind: str = "train", *overrides: str, **facts: Any) -> None:
    """A run as it looks from outside, with a checkpoint."""
    folder = root / "logs" / kind / "runs" / name
    (folder / "checkpoints").mkdir(parents=True)
    with ZipFile(folder / "checkpoints" / "last.ckpt", "w") as archive:
        archive.writestr("last/data.pkl", b"optimizer_states")
    compose(Project.find(root), "train", overrides).save(folder / ".hydra")
    started = f"2024-01-01T00:00:{name[-2:]}+00:00"
    known = {"status": "done", "argv": [], "overrides": list(overrides), "started": started, "task": kind}
    manifest.write(folder, Manifest(id=name, kind=kind, **{**known, **facts}))  # type: ignore[arg-type]


@pytest.fixture
def offers(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """What may follow on a line, with its help, as fish would be told."""
    monkeypatch.setenv(complete.VARIABLE, "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")

    def ask(line: str) -> dict[str, str]:
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        result = dlctl()
        assert result.err == ""
        pairs = [text.partition("\t") for text in result.out.splitlines()]
        return {word: about for word, _, about in pairs}

    return ask


Ask = Callable[[str], dict[str, str]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dlctl tr", ["train"]),
        ("dlctl train --exp ex", ["example"]),
        ("dlctl train --exp=ex", ["--exp=example"]),
        ("dlctl --traceback train --exp ex", ["example"]),
        ("dlctl train --traceback --exp ex", ["example"]),
        ("dlctl train --debug f", ["fdr"]),
        ("dlctl debug f", ["fdr"]),
        ("dlctl debug fdr trainer.max_", ["trainer.max_epochs="]),
        ("dlctl train model=mn", ["model=mnist"]),
        ("dlctl train +model=mn", ["+model=mnist"]),
        ("dlctl train model@other=mn", ["model@other=mnist"]),
        ("dlctl train logger=[csv,tens", ["logger=[csv,tensorboard"]),
        ("dlctl train mod", ["model=", "model."]),
        ("dlctl sweep model.opt", ["model.optimizer."]),
        ("dlctl sweep --search mn", ["mnist_optuna"]),
        ("dlctl sweep --sampler q", ["qmc"]),
        ("dlctl show-config --config sw", ["sweep"]),
        ("dlctl train hydra/sw", ["hydra/sweeper="]),
        ("dlctl train 'model.opt", ["model.optimizer."]),
        ("dlctl train trainer.max_", ["trainer.max_epochs="]),
        ("dlctl train model.sched", ["model.scheduler."]),
        ("dlctl train model._", ["model._target_="]),
        ("dlctl train +model.opt", ["+model.optimizer."]),
        ("dlctl train +trainer.detect", ["+trainer.detect_anomaly="]),
        ("dlctl train +model.optimizer.l", []),
        ("dlctl train ++model.optimizer.l", ["++model.optimizer.lr="]),
        ("dlctl train ~callb", ["~callbacks", "~callbacks."]),
        ("dlctl train ~model.sched", ["~model.scheduler.", "~model.scheduler"]),
        ("dlctl train train=", ["train=true", "train=false"]),
        ("dlctl train train=f", ["train=false"]),
        ("dlctl train +trainer.detect_anomaly=t", ["+trainer.detect_anomaly=true"]),
        ("dlctl train trainer.precision=bf16-m", ["trainer.precision=bf16-mixed"]),
        ("dlctl train model.optimizer.lr=", ["model.optimizer.lr=0.001"]),
        ("dlctl train --exp example model.optimizer.lr=", ["model.optimizer.lr=0.002"]),
        ("dlctl train tags=", ["tags=[dev]"]),
        ("dlctl train nonsense.", []),
        ("dlctl train paths.log_dir=", []),
        ("dlctl train --ckpt ", []),
        ("dlctl eval last --split ", ["train", "val", "test"]),
        ("dlctl eval last --ckpt ", ["best", "last"]),
        ("dlctl eval ", []),
    ],
)
def test_a_word_goes_on_as(line: str, words: list[str], offers: Ask) -> None:
    assert list(offers(line)) == words


def test_an_empty_word_offers_groups_keys_and_sections_but_not_what_is_deep_or_internal(offers: Ask) -> None:
    words = offers("dlctl train ")
    assert {"model=", "experiment=", "seed=", "trainer."} <= words.keys()
    assert not [word for word in words if "/" in word or word in ("hydra.", "local=")]


def test_help_tells_what_a_config_is_for_and_what_a_value_is(offers: Ask) -> None:
    assert offers("dlctl train --exp ex")["example"].startswith("A dense net on a sample of MNIST")
    assert offers("dlctl train mod")["model="] == "mnist"
    assert offers("dlctl train trainer.max_") == {"trainer.max_epochs=": "10"}


def test_configs_of_the_project_are_offered_and_what_they_bring(dlctl: Dlctl, offers: Ask) -> None:
    (dlctl.root / "configs" / "model").mkdir(parents=True)
    (dlctl.root / "configs" / "model" / "mine.yaml").write_text("depth: 3\n")
    assert list(offers("dlctl train model=m")) == ["model=mine", "model=mnist"]
    assert list(offers("dlctl train model=mine model.")) == ["model.depth="]
    assert list(offers("dlctl train --exp example model=mine model.d")) == ["model.depth="]
    assert offers("dlctl train trainer=gpu trainer.accel") == {"trainer.accelerator=": "gpu"}


def test_configs_in_folders_are_offered_as_they_are_chosen(dlctl: Dlctl, offers: Ask) -> None:
    (dlctl.root / "configs/experiment/sub").mkdir(parents=True)
    (dlctl.root / "configs/experiment/sub/deep.yaml").write_text("# @package _global_\nown: 3\n")
    assert list(offers("dlctl train --exp su")) == ["sub/deep"]
    assert list(offers("dlctl train experiment=su")) == ["experiment=sub/deep"]
    assert list(offers("dlctl train --exp sub/deep ow")) == ["own="]


def test_a_wrong_choice_on_the_line_does_not_hide_the_keys(offers: Ask) -> None:
    assert list(offers("dlctl train model=nonsense trainer.max_")) == ["trainer.max_epochs="]
    assert list(offers("dlctl train --exp nonsense trainer.max_")) == ["trainer.max_epochs="]


def test_a_broken_config_hides_keys_only(dlctl: Dlctl, offers: Ask) -> None:
    (dlctl.root / "configs").mkdir()
    (dlctl.root / "configs" / "train.yaml").write_text("a: [\n")
    assert list(offers("dlctl train mod")) == ["model="]
    assert list(offers("dlctl train trainer.max_")) == []


def test_secrets_are_not_offered_as_values(
    dlctl: Dlctl, offers: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "abcdefgh123")
    (dlctl.root / "configs" / "paths").mkdir(parents=True)
    (dlctl.root / "configs" / "paths" / "own.yaml").write_text("a: abcdefgh123\nb: '${oc.env:MY_TOKEN}'\n")
    assert offers("dlctl train paths=own paths.") == {"paths.a=": "", "paths.b=": ""}
    assert offers("dlctl train paths=own paths.a=") == {}


def test_runs_are_offered_newest_first_where_a_command_can_use_them(dlctl: Dlctl, offers: Ask) -> None:
    run_dir(dlctl.root, "old-01", metrics={"val/acc": 0.9}, main_metric="val/acc", experiment="example")
    run_dir(dlctl.root, "new-02")
    run_dir(dlctl.root, "empty-03", status="failed")
    (dlctl.root / "logs/train/runs/empty-03/checkpoints/last.ckpt").unlink()
    run_dir(dlctl.root, "eval-04", "eval")
    assert list(offers("dlctl runs show ")) == ["last", "eval-04", "empty-03", "new-02", "old-01"]
    assert list(offers("dlctl train --resume ")) == ["last", "new-02", "old-01"]
    assert offers("dlctl eval la") == {"last": "new-02"}
    assert offers("dlctl predict old") == {"old-01": "train, done, example, val/acc 0.9"}


def test_eval_knows_the_keys_of_the_run(dlctl: Dlctl, offers: Ask) -> None:
    run_dir(dlctl.root, "other-01", "train", "+model.own=7", "experiment=example")
    assert offers("dlctl eval other-01 model.own=") == {"model.own=7": "as it is"}
    assert offers("dlctl eval last model.optimizer.lr=") == {"model.optimizer.lr=0.002": "as it is"}
    assert offers("dlctl train --resume last model.own=") == {"model.own=7": "as it is"}
    assert list(offers("dlctl eval nowhere model.net.lin1")) == ["model.net.lin1_size="]


def test_whatever_goes_wrong_nothing_is_printed(offers: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        print("out")
        print("err", file=sys.stderr)
        raise RuntimeError

    monkeypatch.setattr(Project, "find", fail)
    assert offers("dlctl train --exp ") == {}
    assert offers("dlctl train mod") == {}
    monkeypatch.setenv(complete.VARIABLE, "complete_bash")
    monkeypatch.delenv("COMP_WORDS", raising=False)
    assert offers("dlctl tr") == {}


def test_with_another_typer_its_own_completion_serves(
    dlctl: Dlctl, offers: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlctl.cli.shells", None)
    monkeypatch.delattr("dlctl.cli.shells")
    assert list(offers("dlctl tr")) == ["train"]
    assert list(offers("dlctl train trainer.max_")) == ["trainer.max_epochs="]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["dlctl", "train", "model", "=", "mn"], ["dlctl", "train", "model=mn"]),
        (["dlctl", "train", "model", "="], ["dlctl", "train", "model="]),
        (["dlctl", "train", "model", "=", ""], ["dlctl", "train", "model=", ""]),
        (["dlctl", "train", "--exp", "=", "a", "x"], ["dlctl", "train", "--exp=a", "x"]),
        (["a", "=", "b", ":", "c"], ["a=b:c"]),
        (["a", "@", "b", "=", "c"], ["a@b=c"]),
        (["dlctl", ""], ["dlctl", ""]),
    ],
)
def test_pieces_of_words_are_glued_together(pieces: list[str], words: list[str]) -> None:
    assert shells.glued(pieces) == words


@pytest.mark.parametrize(
    ("line", "pieces", "found"),
    [
        ("dlctl train model=mn", ["dlctl", "train", "model", "=", "mn"], "mnist"),
        ("dlctl train model=mn", ["dlctl", "train", "model=mn"], "model=mnist"),
        ("dlctl train --exp=", ["dlctl", "train", "--exp", "="], "example\nmnist\ntagger\ntagger_ewt"),
        ("dlctl train 'trainer.max_", ["dlctl", "train", "'trainer.max_"], "trainer.max_epochs="),
        ("dlctl train --debug f", ["dlctl", "train", "--debug", "fdrs"], "fdr"),
        ("dlctl eval last --split=v", ["dlctl", "eval", "last", "--split", "=", "v"], "val"),
    ],
    ids=["cut", "not cut", "nothing yet", "quoted", "within a word", "option"],
)
def test_bash_gets_the_piece_it_asks_for(
    line: str, pieces: list[str], found: str, dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(complete.VARIABLE, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(pieces))
    monkeypatch.setenv("COMP_CWORD", str(len(pieces) - 1))
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    assert dlctl().out.strip() == found


@pytest.mark.parametrize(
    ("line", "light"),
    [
        ("dlctl tr", {"hydra", "omegaconf", "rootutils"}),
        ("dlctl train --exp ex", {"hydra", "omegaconf", "yaml"}),
        ("dlctl train model=mn", {"hydra", "omegaconf", "yaml"}),
        ("dlctl debug f", {"hydra", "omegaconf", "yaml"}),
        ("dlctl eval la", {"hydra", "omegaconf", "yaml"}),
        ("dlctl train trainer.precision=", set()),
    ],
)
def test_completion_imports_nothing_heavy(line: str, light: set[str], dlctl: Dlctl) -> None:
    code = (
        "import sys; from dlctl.cli import run; run([]);"
        "print('\\n@', *(name for name in sys.modules if '.' not in name))"
    )
    env = {**os.environ, complete.VARIABLE: "complete_zsh", "_TYPER_COMPLETE_ARGS": line}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("@")[2].split())
    assert "typer" in loaded
    assert not loaded & (light | {"torch", "lightning", "optuna", "rich"})


def test_completion_of_keys_imports_neither_other_commands_nor_what_reads_source(dlctl: Dlctl) -> None:
    code = (
        "import sys; from dlctl.cli import run; run([]);"
        "print('\\n@', *(name for name in sys.modules if name.startswith('dlctl.')))"
    )
    line = "dlctl show-config trainer.max_"
    env = {**os.environ, complete.VARIABLE: "complete_fish", "_TYPER_COMPLETE_ARGS": line}
    env["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    words, _, loaded = done.stdout.rpartition("@")
    assert words == "trainer.max_epochs=\t10\n\n"
    assert "dlctl.cli.show_config" in loaded
    reading = ("annotations", "signatures", "source", "preflight", "faults")
    unneeded = ["dlctl.cli.launch", "dlctl.cli.probe", *(f"dlctl.composition.{name}" for name in reading)]
    assert not [name for name in unneeded if name in loaded.split()]


class Shell:
    """A real shell in a pseudo-terminal."""

    def __init__(self, name: str, home: Path, env: dict[str, str], cwd: Path) -> None:
        self.cwd = cwd
        rc = home / (".zshrc" if name == "zsh" else "rc")
        rc.write_text(RC[name])
        words = [word.format(rc=rc) for word in START[name]]
        self.process = pexpect.spawn(
            name, words, env=env, cwd=str(cwd), encoding="utf-8", timeout=30, dimensions=(50, 200)
        )
        self.process.expect_exact("@ ")

    def tab(self, line: str) -> str:
        """What a line becomes with a TAB. The shell takes keys in turn: no waiting, no guessing."""
        return self.shown(line)[1]

    def shown(self, line: str, tabs: int = 1) -> tuple[str, str]:
        """All that a shell writes while it completes a line, and what that becomes."""
        tab = "\t" * tabs
        self.process.send(f"{line}{tab}{SHOW}")
        self.process.expect("<<(.*?)>>")
        return str(self.process.before), str(self.process.match.group(1))  # type: ignore[union-attr]

    @contextmanager
    def within(self, folder: Path) -> Iterator[None]:
        """In another folder for a while."""
        self._change(folder, "there")
        try:
            yield
        finally:
            self._change(self.cwd, "back")

    def _change(self, folder: Path, mark: str) -> None:
        # The line that is echoed does not hold the mark.
        self.process.send(f"cd '{folder}' && echo {mark[:2]}''{mark[2:]}\r")
        self.process.expect_exact(mark)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with this interpreter's dlctl, and a project in it with a run."""
    home = tmp_path_factory.mktemp("home")
    program = home / "bin" / "dlctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dlctl "$@"\n')
    program.chmod(0o755)
    project = home / "project"
    project.mkdir()
    (project / ".project-root").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROJECT_ROOT", "")
        run_dir(project, "2024-01-01_00-00-01")
    return home


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, home: Path) -> Iterator[Shell]:
    name = request.param
    if not which(name):
        pytest.skip(f"{name} is not installed")
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    mine = home / name
    mine.mkdir()
    env = {**os.environ, "HOME": str(mine), "ZDOTDIR": str(mine), "PATH": path, "TERM": "xterm"}
    asked = ["dlctl", "--show-completion", name]
    script = subprocess.run(asked, env=env, capture_output=True, text=True, check=True).stdout
    (mine / "script").write_text(script)
    shell = Shell(name, mine, env, home / "project")
    yield shell
    shell.process.close(force=True)


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("dlctl tr", "dlctl train "),
        ("dlctl train --exp ex", "dlctl train --exp example "),
        ("dlctl train --exp=ex", "dlctl train --exp=example "),
        ("dlctl train model=mn", "dlctl train model=mnist "),
        ("dlctl train trainer.max_", "dlctl train trainer.max_epochs="),
        ("dlctl train model.opt", "dlctl train model.optimizer."),
        ("dlctl train train=f", "dlctl train train=false "),
        ("dlctl train \\~model.comp", "dlctl train ~model.compile "),
        ("dlctl train --exp=example seed=", "dlctl train --exp=example seed=12345 "),
        ("dlctl eval la", "dlctl eval last "),
        ("dlctl eval 2024", "dlctl eval 2024-01-01_00-00-01 "),
        ("dlctl eval last --split=v", "dlctl eval last --split=val "),
        ("dlctl train ckpt_path=.proj", "dlctl train ckpt_path=.project-root "),
        ("dlctl train --resume la", "dlctl train --resume last "),
        ("dlctl train trainer.precision=bf16-m", "dlctl train trainer.precision=bf16-mixed "),
        ("dlctl train +trainer.detect_anomaly=t", "dlctl train +trainer.detect_anomaly=true "),
        ("dlctl eval last model.net.lin1", "dlctl eval last model.net.lin1_size="),
    ],
)
def test_a_line_in_a_real_shell_becomes(line: str, becomes: str, shell: Shell) -> None:
    # Zsh and fish keep the ~ from being taken for a home.
    assert shell.tab(line).replace("\\~", "~") == becomes


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("dlctl train --exp ex", "dlctl train --exp example "),
        ("dlctl train model=own", "dlctl train model=owned "),
        ("dlctl eval 2024", "dlctl eval 2024-01-01_00-00-01 "),
        # Its own files stay within reach.
        ("dlctl train ckpt_path=her", "dlctl train ckpt_path=here.ckpt "),
    ],
)
def test_a_sub_folder_of_a_project_completes_as_the_project(
    line: str, becomes: str, shell: Shell, home: Path
) -> None:
    inner = home / "project/notebooks/deep"
    inner.mkdir(parents=True, exist_ok=True)
    (inner / "here.ckpt").touch()
    (home / "project/configs/model").mkdir(parents=True, exist_ok=True)
    (home / "project/configs/model/owned.yaml").write_text("defaults: [mnist]\n")
    with shell.within(inner):
        assert shell.tab(line) == becomes


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("dlctl train --exp ex", "dlctl train --exp example "),
        ("dlctl train trainer=cp", "dlctl train trainer=cpu "),
        ("dlctl train mod", "dlctl train model="),
        ("dlctl train trainer.max_", "dlctl train trainer.max_"),
    ],
)
def test_a_broken_config_prints_nothing_into_the_line(
    line: str, becomes: str, shell: Shell, home: Path
) -> None:
    project = home / "broken"
    (project / "configs").mkdir(parents=True, exist_ok=True)
    (project / ".project-root").touch()
    (project / "configs/train.yaml").write_text("a: [\n")
    with shell.within(project):
        shown, found = shell.shown(line)
        assert found.rstrip() == becomes.rstrip()
        assert not re.search("error|Traceback|YAML|train.yaml|Warning", shown), shown


def test_options_of_a_group_are_listed(shell: Shell) -> None:
    shown, _ = shell.shown("dlctl train trainer=", tabs=2)
    missing = [name for name in ("cpu", "ddp_sim", "default", "fsdp", "mps") if name not in shown]
    assert not missing, shown


@pytest.mark.skipif(not which("zsh"), reason="zsh is not installed")
def test_an_installed_script_answers_the_first_tab_of_zsh(home: Path, tmp_path: Path) -> None:
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    env = {**os.environ, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "PATH": path, "TERM": "xterm"}
    subprocess.run(["dlctl", "--install-completion", "zsh"], env=env, capture_output=True, check=True)
    installed = (tmp_path / ".zshrc").read_text()
    (tmp_path / "script").write_text(re.sub("compinit$", "compinit -u -D", installed, flags=re.MULTILINE))
    shell = Shell("zsh", tmp_path, env, home / "project")
    assert shell.tab("dlctl tr") == "dlctl train "
    assert shell.tab("dlctl train model=mn") == "dlctl train model=mnist "
    shell.process.close(force=True)
