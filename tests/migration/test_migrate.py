"""dlctl migrate, and the README's page for those who come from the template."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from dlctl.migration.commands import translated
from tests.conftest import QUIET, Dlctl
from tests.migration.shape import FILES, put

README = Path(__file__).parents[2] / "README.md"


def rows() -> list[tuple[list[str], list[str]]]:
    """The commands of both columns of the page."""
    page = README.read_text().partition("## Coming from lightning-hydra-template")[2].partition("\n## ")[0]
    lines = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return [(re.findall("`([^`]+)`", old), re.findall("`([^`]+)`", new)) for old, new in lines]


@pytest.mark.parametrize(("old", "new"), rows(), ids=lambda words: words[0] if words else "none")
def test_page_and_migrate_say_the_same(old: list[str], new: list[str]) -> None:
    if "src/" in old[0]:
        found = translated(old[0])
        assert found is not None
        assert (found.old, found.new) == (old[0], new[0])


def test_every_command_of_the_page_works(template: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Path(template("train", *QUIET, "--json").json["dir"])
    shutil.copy(next(directory.glob("checkpoints/epoch_*.ckpt")), template.root / "some.ckpt")
    put(
        template.root,
        "configs/hparams_search/mnist_optuna.yaml",
        FILES["configs/hparams_search/toy_optuna.yaml"],
    )
    said = dict.fromkeys(each for _, new in rows() for each in new)
    assert len(said) > 25
    for line in said:
        words = shlex.split(line.partition("dlctl ")[2])
        if words[0] in ("train", "debug", "sweep"):
            words.append("--dry-run")
        template(*words)


def test_search_that_names_no_metric_goes_by_what_checkpoints_watch(template: Dlctl) -> None:
    facts = template("sweep", "seed=1,2", "--dry-run", "--json").json
    assert facts["metrics"] == {"val/acc": "maximize"}
    words = ("sweep", "seed=1,2", "callbacks=none", "--dry-run")
    assert "the config names no metric" in template(*words, code=3).err


SCRIPT = """\
#!/bin/bash
# Schedule execution of many runs
python src/train.py trainer.max_epochs=5 logger=csv

CUDA_VISIBLE_DEVICES=0 python src/train.py -m \\
    experiment=a,b \\
    hydra/launcher=joblib > log.txt 2>&1 &
python src/other.py
"""
NOTEBOOK = json.dumps(
    {"cells": [{"cell_type": "code", "source": ["import os\n", "!python src/train.py -m seed=1,2"]}]},
    indent=1,
)


@pytest.fixture
def clone(template: Dlctl) -> Dlctl:
    """A clone with all that surrounds its configs."""
    put(
        template.root,
        "README.md",
        "# Mine\n\nTrain with `python src/train.py experiment=example`.\n\n"
        "```bash\npython src/eval.py ckpt_path=a.ckpt\n```\n",
    )
    put(template.root, "scripts/schedule.sh", SCRIPT)
    put(
        template.root,
        "Makefile",
        "train: ## Train\n\tpython src/train.py debug=fdr\n\ntest:\n\tpytest -k 'not slow'\n",
    )
    put(template.root, ".github/workflows/test.yml", "steps:\n  - run: python -m src.train debug=fdr\n")
    put(template.root, "notebooks/look.ipynb", NOTEBOOK)
    put(
        template.root,
        "requirements.txt",
        "# --------- pytorch --------- #\ntorch>=2.0.0\nlightning>=2.0.0\n\nhydra-core==1.3.2\n"
        "hydra-colorlog==1.2.0\npandas\nrich-click\nrich\n",
    )
    put(
        template.root,
        "environment.yaml",
        "dependencies:\n  - python=3.10\n  - pip:\n      - hydra-core>=1.3\n      - pandas\n",
    )
    put(template.root, "src/eval.py", "import hydra\n\n\ndef evaluate(cfg): ...\n")
    put(template.root, "src/utils/pylogger.py", "class RankedLogger: ...\n")
    put(
        template.root,
        "src/utils/instantiators.py",
        "def instantiate_callbacks(cfg): ...\n\n\ndef instantiate_loggers(cfg): ...\n",
    )
    put(template.root, "src/models/chatty.py", "from src.utils.pylogger import RankedLogger\n")
    return template


SHOWN = """\
files that dlctl replaces
  src/train.py  dlctl train
  src/eval.py  dlctl eval
  src/utils/instantiators.py  dlctl.utils.instantiators
  src/utils/pylogger.py  dlctl.utils.pylogger
    still imported in src/models/chatty.py:1
requirements that dlctl brings
  requirements.txt:2  torch>=2.0.0
  requirements.txt:3  lightning>=2.0.0
  requirements.txt:5  hydra-core==1.3.2
  requirements.txt:6  hydra-colorlog==1.2.0
  requirements.txt:9  rich
  environment.yaml:4  hydra-core>=1.3
commands
  README.md:3  python src/train.py experiment=example
    dlctl train --exp example
  README.md:6  python src/eval.py ckpt_path=a.ckpt
    dlctl eval a.ckpt
  notebooks/look.ipynb:7  python src/train.py -m seed=1,2
    dlctl sweep seed=1,2
  Makefile:2  python src/train.py debug=fdr
    dlctl debug fdr
  .github/workflows/test.yml:2  python -m src.train debug=fdr
    dlctl debug fdr
  scripts/schedule.sh:3  python src/train.py trainer.max_epochs=5 logger=csv
    dlctl train trainer.max_epochs=5 logger=csv
  scripts/schedule.sh:5  CUDA_VISIBLE_DEVICES=0 python src/train.py -m experiment=a,b hydra/launcher=joblib
    CUDA_VISIBLE_DEVICES=0 dlctl sweep experiment=a,b
    (hydra/launcher=joblib is not carried over: dlctl sweep --jobs N runs trials at once on this machine)
"""


def test_everything_that_dlctl_replaces_is_listed_and_nothing_changed(clone: Dlctl) -> None:
    before = {file: file.read_bytes() for file in clone.root.rglob("*") if file.is_file()}
    result = clone("migrate")
    assert result.out == SHOWN
    assert result.err == "nothing was changed\n"
    assert {file: file.read_bytes() for file in clone.root.rglob("*") if file.is_file()} == before
    report = clone("migrate", "--json").json
    assert report["template"] is True
    assert report["commands"][0] == {
        "file": str(clone.root / "README.md"),
        "line": 3,
        "old": "python src/train.py experiment=example",
        "new": "dlctl train --exp example",
        "notes": [],
    }
    assert [len(report[key]) for key in ("files", "requirements", "commands")] == [4, 6, 7]


def test_script_that_does_more_is_not_replaced(clone: Dlctl) -> None:
    script = clone.root / "src/train.py"
    script.write_text(
        script.read_text().replace("    trainer =", "    hydra.utils.instantiate(cfg.teacher)\n    trainer =")
    )
    result = clone("migrate")
    assert "  src/train.py  dlctl train" not in result.out
    assert "it instantiates cfg.teacher, which dlctl train does not" in result.err


def test_project_of_another_shape_is_told_so(dlctl: Dlctl) -> None:
    put(dlctl.root, "README.md", "python src/train.py\n")
    result = dlctl("migrate")
    assert result.out == "this is no project in the shape of lightning-hydra-template: nothing is replaced\n"
    assert dlctl("migrate", "--json").json == {
        "schema_version": 1, "template": False, "files": [], "requirements": [], "commands": [], "kept": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("python train.py", "dlctl train"),
        ("python3.10 -u src/train.py seed=1 && echo done", "dlctl train seed=1"),
        ("srun python src/train.py trainer=ddp", "srun dlctl train trainer=ddp"),
        ("python src/train.py --multirun hparams_search=x", "dlctl sweep --search x"),
        ("python src/train.py -m experiment=a,b", "dlctl sweep experiment=a,b"),
        ("python src/train.py ckpt_path='a=3.ckpt' ~logger", "dlctl train --ckpt a=3.ckpt ~logger"),
        ("python src/eval.py", "dlctl eval last"),
        ("python src/eval.py ckpt_path=$CKPT data.batch_size=8", "dlctl eval $CKPT data.batch_size=8"),
        ('python src/train.py data.path=$DATA "$@"', 'dlctl train data.path=$DATA "$@"'),
        ("python src/train.py -cn other seed=1", "dlctl train seed=1"),
        ("python train.py -m hydra/sweeper=optuna hydra.sweeper.n_trials=20", "dlctl sweep --trials 20"),
        ("python train.py -m 'a=interval(0, 1)'", "dlctl sweep 'a=interval(0, 1)'"),
        ("Run python src/train.py to train it.", "dlctl train"),
        ("see src/train.py", None),
        ("python src/trainer.py", None),
        ("python tools/train.py", None),
        ("pip install -r requirements.txt", None),
    ],
)  # fmt: skip
def test_command_lines(line: str, new: str | None) -> None:
    found = translated(line)
    assert (found.new if found else None) == new
