"""What real projects do and ``check`` must not take for a fault."""

# ruff: noqa: E501 - code in tables

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Dlctl

NO_FAULT = "no fault in 1 config\n"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    sys.modules.pop("mine", None)


def write(dlctl: Dlctl, name: str, text: str) -> None:
    file = dlctl.root / (name if name.endswith(".py") else f"configs/{name}.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def net(dlctl: Dlctl, code: str, target: str, **arguments: object) -> str:
    """A project with a module of its own; how its config is chosen."""
    write(dlctl, "mine.py", code)
    lines = [f"{name}: {value}" for name, value in {"_target_": target, **arguments}.items()]
    write(dlctl, "experiment/mine", "# @package _global_\nnet:\n" + "".join(f"  {line}\n" for line in lines))
    return "experiment=mine"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    from fast import Net\nexcept ImportError:\n    class Net:\n        def __init__(self): ...\n",
        "import os\nif os.name == 'x':\n    def Net(): ...\nelse:\n    def Net(size): ...\n",
        "def Net(): ...\ndef Net(size): ...\n",
        "import sys\nif sys.argv:\n    def Net(): ...\ndef Net(size): ...\n",
        "from contextlib import suppress\nwith suppress(ImportError):\n    from torch.nn import Identity as Net\n",
        "def _make(): return 1, dict\n_, Net = _make()\n",
        "for Net in (dict,): pass\n",
        "match 1:\n    case 1:\n        def Net(size): ...\n    case _:\n        def Net(): ...\n",
        "def _set():\n    global Net\n    Net = dict\n_set()\nclass Net:\n    def __init__(self, size): ...\n",
    ],
)
def test_names_that_are_bound_in_several_places(dlctl: Dlctl, code: str) -> None:
    assert dlctl("check", net(dlctl, code, "mine.Net", size=3)).out == NO_FAULT


def test_of_two_definitions_the_second_counts(dlctl: Dlctl) -> None:
    code = "def Net(size): ...\ndef Net(width): ...\n"
    assert (
        "mine.Net takes no argument 'size'"
        in dlctl("check", net(dlctl, code, "mine.Net", size=3), code=3).err
    )


CLASS = """
class Base:
    @classmethod
    def inherited(cls, size): ...

class Net(Base):
    MAKE = dict
    a, b = dict, list
    kind: type = dict
    class Inner:
        def __init__(self, size): ...
    @classmethod
    def of(cls, size): ...
    @staticmethod
    def plain(size): ...
    def method(self, size): ...

class lower:
    MAKE = dict
    @classmethod
    def of(cls, size): ...

class Later: ...
Later.MAKE = dict
"""


@pytest.mark.parametrize(
    "name",
    [
        "Net.MAKE",
        "Net.a",
        "Net.kind",
        "Net.Inner",
        "Net.of",
        "Net.plain",
        "Net.inherited",
        "Net.method",
        "lower.MAKE",
        "lower.of",
        "Later.MAKE",
    ],
)
def test_attributes_of_classes_as_targets(dlctl: Dlctl, name: str) -> None:
    assert dlctl("check", net(dlctl, CLASS, f"mine.{name}", size=3)).out == NO_FAULT


@pytest.mark.parametrize("name", ["Net.of", "Net.plain", "Net.Inner", "Net.inherited", "lower.of"])
def test_methods_of_classes_have_their_arguments_checked(dlctl: Dlctl, name: str) -> None:
    err = dlctl("check", net(dlctl, CLASS, f"mine.{name}", width=3), code=3).err
    assert f"mine.{name} takes no argument 'width'" in err


def test_attribute_that_a_class_has_not_is_a_fault(dlctl: Dlctl) -> None:
    err = dlctl("check", net(dlctl, CLASS, "mine.lower.off"), code=3).err
    assert "there is no 'off' in mine.lower\n  did you mean mine.lower.of?" in err


def test_entries_of_nested_options_count_from_their_group(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/small", "# @package _global_\nseed: 1\n")
    # Chosen as experiment=sub/mine, so that `small` is experiment/small; `near` lies beside it.
    write(dlctl, "experiment/sub/mine", "# @package _global_\ndefaults: [small, sub/near, _self_]\nseed: 2\n")
    write(dlctl, "experiment/sub/near", "# @package _global_\nseed: 3\n")
    write(dlctl, "model/deep/a", "defaults: [b, _self_]\ncompile: false\n")
    write(dlctl, "model/deep/b", "defaults: [/model/mnist]\n")
    assert dlctl("check", "--exp", "sub/mine").out == NO_FAULT
    assert dlctl("check", "--all").err == ""


def test_default_that_is_always_overridden_is_never_loaded(dlctl: Dlctl) -> None:
    write(
        dlctl,
        "experiment/base",
        "# @package _global_\ndefaults:\n  - /extra: gone\n  - override /extra: there\n",
    )
    write(dlctl, "extra/there", "own: 3\n")
    assert dlctl("check", "--exp", "base").err == ""
    assert dlctl("check", "--all").err == ""
    write(dlctl, "experiment/base", "# @package _global_\ndefaults:\n  - /extra: gone\n")
    assert "there is no option of 'extra' 'gone'" in dlctl("check", "--all", code=3).err


SEARCH = (
    "# @package _global_\nhydra:\n  sweeper:\n    params:\n      own.size: choice(1, 2)\n      seed: 1,2\n"
)


def test_search_that_is_made_for_an_experiment(dlctl: Dlctl) -> None:
    write(dlctl, "hparams_search/mine", SEARCH)
    assert "mine.yaml:5: the search varies 'own.size'" in dlctl("check", "--all", code=3).err
    write(dlctl, "experiment/mine", "# @package _global_\nown:\n  size: 3\n")
    assert dlctl("check", "--all").err == ""
    write(dlctl, "hparams_search/mine", SEARCH.replace("own.size", "own.sze"))
    assert "mine.yaml:5: the search varies 'own.sze'" in dlctl("check", "--all", code=3).err


LOUD = "print('loud')\n__import__('sys').stderr.write('louder')\nglobals()['Net'] = dict\n"


def test_module_that_has_to_be_imported_prints_nothing(dlctl: Dlctl) -> None:
    result = dlctl("check", net(dlctl, LOUD, "mine.Net"))
    assert (result.out, result.err) == (NO_FAULT, "")


@pytest.mark.parametrize(
    "end",
    [
        "raise SystemExit(1)",
        "import sys; sys.exit()",
        "import argparse as a; p = a.ArgumentParser(); p.add_argument('x', type=int); p.parse_args(['y'])",
    ],
)
def test_module_that_ends_the_program_does_not_end_check(dlctl: Dlctl, end: str) -> None:
    result = dlctl("check", net(dlctl, f"print('loud')\nglobals()['x'] = 1\n{end}\n", "mine.Net"), code=3)
    assert result.out == "1 fault in 1 config\n"
    assert result.err == (
        "error: configs/experiment/mine.yaml:3: mine.Net cannot be imported: mine ends the program\n"
        "  correct the name, or the module that it names\n"
    )


@pytest.mark.parametrize("file", ["train.py", "src/__init__.py", "src/utils/resolvers.py"])
@pytest.mark.parametrize(
    "call", ["register_new_resolver('twice', str)", 'register_new_resolver(\n    name="twice", resolver=str)']
)
def test_resolvers_of_the_project_are_no_faults(dlctl: Dlctl, file: str, call: str) -> None:
    write(dlctl, file, f"from omegaconf import OmegaConf\nOmegaConf.{call}\n")
    write(dlctl, "experiment/mine", "# @package _global_\na: ${twice:2}\nb: ${no.such}\nc: ${thrice:2}\n")
    for words in (("--exp", "mine"), ("--all",)):
        result = dlctl("check", *words, code=3)
        assert f"the resolver 'twice' is of {file}:2\n" in result.err
        errors = [line.split(": ")[1] for line in result.err.splitlines() if line.startswith("error")]
        assert errors == ["configs/experiment/mine.yaml:3", "configs/experiment/mine.yaml:4"]


def test_resolvers_of_other_peoples_code_do_not_count(dlctl: Dlctl) -> None:
    write(dlctl, ".venv/lib/train.py", "OmegaConf.register_new_resolver('twice', f)\n")
    Path(dlctl.root, "env").mkdir()
    Path(dlctl.root, "env/pyvenv.cfg").touch()
    write(dlctl, "env/train.py", "OmegaConf.register_new_resolver('twice', f)\n")
    assert "there is no resolver 'twice'" in dlctl("check", "+a=${twice:2}", code=3).err


def test_options_of_other_folders_in_the_search_path(dlctl: Dlctl) -> None:
    write(dlctl, "../shared/model/far", "defaults: [/model/mnist]\n")
    train = "defaults: [model: mnist, data: mnist, trainer: default, paths: default, experiment: null, _self_]\ntask_name: x\n"
    write(dlctl, "train", f"{train}hydra:\n  searchpath: ['file://${{oc.env:PROJECT_ROOT}}/shared']\n")
    write(dlctl, "experiment/mine", "# @package _global_\ndefaults: [override /model: far]\n")
    write(dlctl, "experiment/unused/mine", "# @package _global_\ndefaults: [override /model: far]\n")
    err = dlctl("check", "--all").err
    assert err == ""
