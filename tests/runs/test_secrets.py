"""A secret of the environment is in nothing that a run writes and in nothing that a command prints."""

import gzip
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Dlctl

SECRET = "pl4nted/s3cret@of mine"
NAME = "ZOO_PAT"
MODEL = ("model._target_=tests.helpers.Confiding", f"+model.password=${{oc.env:{NAME}}}")
SHORT = ("--exp", "example", "trainer.max_epochs=1", "trainer.limit_train_batches=2",
         "trainer.limit_val_batches=2", "trainer.limit_test_batches=2")  # fmt: skip
# As a shell replaces $ZOO_PAT, in a URL, and behind a longer text that YAML breaks into lines.
SAID = (
    f"+extras.shell='{SECRET}'",
    f"+extras.url='postgresql://me:{quote(SECRET, safe='')}@host/db'",
    f"+extras.long='{'words ' * 12}{SECRET}'",
)


def leaks(data: bytes) -> bool:
    """Whether a secret is in some bytes in one of its forms, or torn apart by YAML's line ends."""
    one_line = b" ".join(data.split())
    return any(form.encode() in one_line for form in (SECRET, quote(SECRET), quote(SECRET, safe="")))


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files below a folder, those in archives too; the project's own .env and code apart."""
    for file in folder.rglob("*"):
        if not file.is_file() or file.name == ".env" or ".git" in file.parts:
            continue
        data = file.read_bytes()
        yield str(file), data
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    yield f"{file}:{name}", archive.read(name)
        elif data.startswith(b"\x1f\x8b"):
            yield f"{file}:", gzip.decompress(data)


@pytest.fixture
def zoo(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> Dlctl:
    """A project with a secret in its .env, and in its uncommitted changes."""
    # Put back by the end of the test.
    monkeypatch.setenv(NAME, "")
    monkeypatch.delenv(NAME)
    (dlctl.root / ".env").write_text(f"{NAME}='{SECRET}'\n")
    (dlctl.root / "notes.txt").write_text("nothing\n")
    for words in (
        ["init", "-q"],
        ["add", "notes.txt"],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"],
    ):
        subprocess.run(["git", *words], cwd=dlctl.root, check=True)
    (dlctl.root / "notes.txt").write_text(f"the password is {SECRET}\n")
    return dlctl


def printed(zoo: Dlctl, *words: str, code: int = 0) -> str:
    result = zoo(*words, code=code)
    assert not leaks((result.out + result.err).encode()), f"{words}\n{result.out}\n{result.err}"
    return result.out + result.err


def assert_no_file_leaks(zoo: Dlctl) -> None:
    (zoo.root / "notes.txt").unlink()
    found = dict(contents(zoo.root))
    assert any(name.endswith(".ckpt") for name in found)
    assert [name for name, data in found.items() if leaks(data)] == []


def test_secret_is_in_no_file_and_in_no_output(zoo: Dlctl) -> None:
    titles = f"+callbacks.titles={{_target_:tests.helpers.ProcessTitles,file:{zoo.root}/titles.txt}}"
    words = (*SHORT, *MODEL, *SAID)
    printed(zoo, "show-config", *words)
    printed(zoo, "show-config", *words, "--resolve")
    printed(zoo, "show-config", *words, "--origin")
    printed(zoo, "show-config", *words, "--format", "json", "--resolve")
    printed(zoo, "show-config", *words, "--history", "extras.shell")
    printed(zoo, "check", *words)
    printed(zoo, "train", *words, "--dry-run")
    printed(zoo, "train", *words, "--dry-run", "--json")
    out = printed(zoo, "train", *words, titles, "data.num_workers=1", "logger=many_loggers")
    assert f"the password is ${{oc.env:{NAME}}}" in out
    run = zoo.run_dir().name
    printed(zoo, "train", *words, "+model.fails=true", code=1)
    printed(zoo, "train", *words, "+model.fails=true", "--json", "--traceback", code=1)
    printed(zoo, "train", *words, f"model.nothing='{SECRET}'", code=3)
    printed(zoo, "train", f"model={SECRET}", code=3)
    printed(zoo, "runs", "list")
    for words in (("runs", "show", run), ("eval", run), ("predict", run)):
        printed(zoo, *words)
        printed(zoo, *words, "--json")
    printed(zoo, "train", "--resume", run, "trainer.max_epochs=2", f"extras.shell='{SECRET}!'")
    assert (zoo.root / "titles.txt").stat().st_size
    assert_no_file_leaks(zoo)


def test_search_keeps_a_secret(zoo: Dlctl) -> None:
    titles = f"+callbacks.titles={{_target_:tests.helpers.ProcessTitles,file:{zoo.root}/titles.txt}}"
    printed(zoo, "sweep", *SHORT, *MODEL, SAID[2], titles, "seed=1,2", "--study", "s", "test=false")
    for words in (("status", "s"), ("trials", "s"), ("best", "s"), ("best", "s", "--as-experiment", "b")):
        printed(zoo, "study", *words)
    printed(zoo, "study", "trials", "s", "--json")
    printed(zoo, "sweep", *SHORT, *MODEL, "+model.fails=true", "seed=1,2", "--study", "t", code=5)
    assert_no_file_leaks(zoo)


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_trackers_get_no_secret(zoo: Dlctl, tracker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(tracker)
    monkeypatch.setenv("WANDB_SILENT", "true")
    (zoo.root / "tests").symlink_to(Path(__file__).parents[1])
    offline = ["logger.wandb.offline=true"] if tracker == "wandb" else []
    zoo.process("train", *SHORT, *MODEL, *SAID, f"logger={tracker}", *offline)
    assert_no_file_leaks(zoo)
