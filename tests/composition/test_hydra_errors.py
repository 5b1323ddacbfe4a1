"""Composition errors blame who is at fault, and say what to write instead."""

import pytest

from tests.conftest import Dlctl

GLOBAL = "# @package _global_\n"


def write(dlctl: Dlctl, name: str, text: str | bytes) -> None:
    file = dlctl.root / "configs" / (name if "." in name else f"{name}.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("override /data: mnst", "there is no option of 'data' 'mnst'"),
        ("override /dta: mnist", "there is no group 'dta'"),
        ("/model: mnist", "'model' stands in the defaults lists more than once"),
        ("override /data: ???", "'data' has no option"),
    ],
)
def test_of_two_files_with_the_same_mistake_the_one_in_play_is_blamed(
    dlctl: Dlctl, entry: str, message: str
) -> None:
    for name in ("a", "b", "c"):
        write(dlctl, f"experiment/{name}", f"{GLOBAL}defaults:\n  - {entry}\n")
    assert f"error: configs/experiment/b.yaml:3: {message}" in dlctl("show-config", "--exp", "b", code=3).err


def test_default_that_an_override_replaces_is_not_blamed(dlctl: Dlctl) -> None:
    write(dlctl, "train", "defaults:\n  - data: gone\n  - model: mnist\n  - experiment: null\n  - _self_\n")
    write(dlctl, "experiment/a", f"{GLOBAL}defaults:\n  - override /data: gone\n")
    err = dlctl("show-config", "--exp", "a", code=3).err
    assert err.startswith("error: configs/experiment/a.yaml:3: there is no option of 'data' 'gone'")
    assert "configs/train.yaml:2: " in dlctl("show-config", code=3).err


def test_circle_is_blamed_where_it_is(dlctl: Dlctl) -> None:
    for name in ("a", "b"):
        write(dlctl, f"experiment/{name}", f"{GLOBAL}defaults:\n  - {name}\n")
    assert "configs/experiment/b.yaml:3: the defaults lists lead in a circle" in (
        dlctl("show-config", "--exp", "b", code=3).err
    )


@pytest.mark.parametrize("command", ["show-config --exp latin", "check --exp latin", "check --all"])
def test_byte_that_is_no_utf8_is_shown_in_its_line(dlctl: Dlctl, command: str) -> None:
    write(dlctl, "experiment/latin", b"# @package _global_\nseed: 1\n\nname: caf\xe9\n")
    err = dlctl(*command.split(), code=3).err
    assert err.startswith(
        "error: configs/experiment/latin.yaml:4: not YAML: the file is not UTF-8 (byte 0xe9)\n"
    )
    assert err.splitlines()[2] == f"  {' ' * 9}^"


def test_character_that_yaml_does_not_allow_is_shown_in_its_line(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/bell", "# @package _global_\nseed: 1\nname: \x07\n")
    assert "configs/experiment/bell.yaml:3: not YAML" in dlctl("show-config", "--exp", "bell", code=3).err


@pytest.mark.parametrize("command", ["show-config --exp a", "check --exp a", "check --all"])
def test_null_as_a_key_is_told_with_its_line(dlctl: Dlctl, command: str) -> None:
    write(dlctl, "experiment/a", f"{GLOBAL}model:\n  net:\n    null: 3\n")
    err = dlctl(*command.split(), code=3).err
    assert err == (
        "error: configs/experiment/a.yaml:4: 'null' is no name of a key\n  if it is to be a word: 'null'\n"
    )


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("override model: mnist", "did you mean '- override /model: mnist'?"),
        ("model: mnist", "did you mean '- override /model: mnist'?"),
        ("/model: mnist", "to replace what train chose: - override /model: mnist"),
        ("/model: other", "to replace what train chose: - override /model: other"),
    ],
)
@pytest.mark.parametrize("command", ["show-config --exp a", "check --all"])
def test_experiment_that_does_not_override_is_told_what_to_write(
    dlctl: Dlctl, entry: str, hint: str, command: str
) -> None:
    write(dlctl, "model/other", "defaults: [mnist]\n")
    write(dlctl, "experiment/a", f"{GLOBAL}defaults:\n  - example\n  - {entry}\n  - _self_\n")
    err = dlctl(*command.split(), code=3).err
    assert err.startswith("error: configs/experiment/a.yaml:4: ")
    assert err.splitlines()[1].strip() == hint
    assert err.count("error: ") == 1


def test_option_whose_file_is_called_yml_is_explained(dlctl: Dlctl) -> None:
    write(dlctl, "model/mine.yml", "defaults: [mnist]\n")
    err = dlctl("show-config", "model=mine", code=3).err
    assert "configs/model/mine.yml is not read: the name must end in .yaml" in err


def test_all_that_is_wrong_with_a_command_line_is_told_at_once(dlctl: Dlctl) -> None:
    words = (
        "model=mnst",
        "data=nothing",
        "trainer.max_epoch=3",
        "model.optimizer.lr=abc",
        "a=b=c",
        "seed=1,2",
    )
    errors = [line for line in dlctl("show-config", *words, code=3).err.splitlines() if line[0] != " "]
    assert [line.removeprefix("error: ")[:40] for line in errors] == [
        "cannot read the override 'a=b=c': mismat",
        "'seed=1,2' names several values, and one",
        "there is no option of 'model' 'mnst'",
        "there is no option of 'data' 'nothing'",
        "unknown key 'trainer.max_epoch'",
        "'abc' does not fit 'model.optimizer.lr',",
    ]


def test_nothing_is_said_of_keys_that_a_misspelt_choice_may_bring(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/one", f"{GLOBAL}own: 3\n")
    for words in (("--exp", "nothing"), ("--exp", "exmple")):
        err = dlctl("show-config", *words, "trainer.max_epoch=3", "own=4", code=3).err
        assert "there is no experiment" in err
        assert ("unknown key 'trainer.max_epoch'" in err) == (words[1] == "exmple")
    err = dlctl("show-config", "data=nothing", "data.own=4", "trainer.max_epoch=3", code=3).err
    assert "data.own" not in err
    assert "trainer.max_epoch" in err


def test_all_options_that_files_miss_are_told_at_once(dlctl: Dlctl) -> None:
    text = f"{GLOBAL}defaults:\n  - override /data: mnst\n  - override /logger: cvs\n  - override /dta: x\n"
    write(dlctl, "experiment/a", text)
    err = dlctl("show-config", "--exp", "a", code=3).err
    assert [f"a.yaml:{line}: " in err for line in (3, 4, 5)] == [True, True, True]


def test_option_in_a_folder_is_named_as_it_is_chosen(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/sub/deep", f"{GLOBAL}seed: 3\n")
    for name in ("deep", "sub/dep"):
        err = dlctl("show-config", "--exp", name, code=3).err
        assert f"there is no experiment '{name}'\n  did you mean experiment=sub/deep?" in err
    assert dlctl("show-config", "seed=3", "--diff", "sub/deep").out == ""
    assert "sub/deep" in dlctl("list", "experiment").out


def test_group_that_is_chosen_already_takes_no_plus(dlctl: Dlctl) -> None:
    for choice in ("experiment=example", "model=mnist"):
        err = dlctl("show-config", f"+{choice}", code=3).err
        assert err == (
            f"error: '{choice.partition('=')[0]}' is chosen already\n"
            f"  to choose another option, leave out the +: {choice}\n"
        )


def test_key_that_no_likely_option_has_is_told_beside_the_misspelt_option(dlctl: Dlctl) -> None:
    err = dlctl("show-config", "data=mnst", "data.batch_sze=3", "data.batch_size=3", code=3).err
    assert [line for line in err.splitlines() if line.startswith("error")] == [
        "error: there is no option of 'data' 'mnst'",
        "error: unknown key 'data.batch_sze'",
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("~seed=5", "'~seed=5' removes nothing: 'seed' is null\n  to remove it whatever it is: ~seed\n"),
        ("task_name=it's", "cannot read the override 'task_name=it's'\n"
         "  close the quotes; if the sign belongs to the value: 'task_name=\"it'\"'\"'s\"'\n"),
        ("paths.data_dir=~/data", "cannot read the override 'paths.data_dir=~/data'\n"
         "  no shell makes a home of ~ there: paths.data_dir=$HOME/data\n"),
        ("task_name=größe", "cannot read the override 'task_name=größe'\n"
         "  quote the value, and the whole for the shell: 'task_name=\"größe\"'\n"),
        ("tags=[größe,b]", "cannot read the override 'tags=[größe,b]'\n"
         "  quote what is not ASCII, and the whole for the shell: 'tags=[\"größe\",b]'\n"),
        ("trainer.enable_progres_bar=false", "unknown key 'trainer.enable_progres_bar'\n"
         "  did you mean +trainer.enable_progress_bar=false"),
        ('+x=${oc.decode:"{a: 1}"}', "cannot read the override '+x=${oc.decode:\"{a: 1}\"}'\n"
         "  quote the value, and the whole for the shell: '+x=\"${oc.decode:\\\"{a: 1}\\\"}\"'\n"),
        ('+x="a${"', "the interpolation in '+x=\"a${\"' cannot be read: no viable alternative at input '${'\n"
         "  an interpolation is written ${section.key}\n"),
        ("hydra.run.dirr=x", "unknown key 'hydra.run.dirr'\n  did you mean hydra.run.dir"),
        ("model@teacher=mnist", "'model@teacher' is not among the defaults of 'train'\n"
         "  did you mean model?\n  to add it: +model@teacher=OPTION"),
        ("trainer.max_epochs=[1]", "'[1]' does not fit 'trainer.max_epochs', which takes Optional[int]\n"),
        ("trainer.max_epochs={a: 1}",
         "'{'a': 1}' does not fit 'trainer.max_epochs', which takes Optional[int]\n"),
        ("tags.7=x", "cannot set 'tags.7': 'tags' is a list of 1 item, counted from 0\n"
         "  write the list anew: tags=[dev,x]\n"),
        ("+tags.1=x y", "cannot set 'tags.1': 'tags' is a list of 1 item, counted from 0\n"
         "  write the list anew: tags=[...]\n"),
        ("tags.first=x", "cannot set 'tags.first': 'tags' is a list of 1 item and has no 'first'\n"),
        ("+task_name.x=3",
         "'task_name' is a value and no section to add to (= train, set in dlctl:train.yaml:28)\n"
         "  to replace it by a section: ++task_name.x=3\n"),
        ("seed.x=3", "unknown key 'seed.x'\n  did you mean 'seed' (= null, set in dlctl:train.yaml:46)?\n"),
    ],
)  # fmt: skip
def test_advice_is_right(dlctl: Dlctl, override: str, said: str) -> None:
    assert dlctl("show-config", override, code=3).err.startswith(f"error: {said}")


@pytest.mark.parametrize("word", ["~", "+", "+=3", "=3", ""])
def test_words_without_a_key_are_no_overrides(dlctl: Dlctl, word: str) -> None:
    assert f"error: '{word}' is not an override\n" in dlctl("show-config", word, code=2).err


@pytest.mark.parametrize("command", ["show-config --exp a", "train --exp a", "check --exp a", "check --all"])
def test_interpolation_that_cannot_be_read_is_told_with_its_line(dlctl: Dlctl, command: str) -> None:
    write(dlctl, "experiment/a", f"{GLOBAL}own: ${{b\n")
    err = dlctl(*command.split(), code=3).err
    assert err.startswith("error: configs/experiment/a.yaml:2: the interpolation '${b' cannot be read: ")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("model:\n\tnet: 3\n", 3, "a tab indents this line, and YAML takes spaces only\n   net: 3\n"),
        ("a: 1\nb:2\nc: 3\n", 3, "could not find expected ':'\n  b:2\n  ^\n"),
        ("a: 'b\nc: 3\n", 2, "found unexpected end of stream\n  a: 'b\n     ^\n"),
        ("a: [1, 2\nc: 3\n", 3, "did not find expected ',' or ']' (of what line 2 opens)\n  c: 3\n   ^\n"),
    ],
    ids=["tab", "no space", "quote", "bracket"],
)
def test_broken_yaml_is_blamed_on_the_line_that_is_wrong(
    dlctl: Dlctl, text: str, line: int, said: str
) -> None:
    write(dlctl, "experiment/a", f"{GLOBAL}{text}")
    err = dlctl("show-config", "--exp", "a", code=3).err
    assert err.startswith(f"error: configs/experiment/a.yaml:{line}: not YAML: {said}")


@pytest.mark.parametrize(
    ("overrides", "made"),
    [
        # As Hydra does it: a null may become a section.
        (["+seed.x=3"], {"x": 3}),
        (["seed=7", "++seed.x=3"], {"x": 3}),
        (["~seed", "+seed.x=3"], {"x": 3}),
    ],
    ids=["null", "insisting", "removed before"],
)
def test_keys_below_what_is_no_section(dlctl: Dlctl, overrides: list[str], made: object) -> None:
    assert dlctl("show-config", *overrides, "--format", "json").json["seed"] == made


def test_null_can_be_removed(dlctl: Dlctl) -> None:
    assert "unknown key 'sed'" in dlctl("show-config", "~sed", code=3).err
    config = dlctl("show-config", "~seed", "~ckpt_path=null", "--format", "json")
    assert not {"seed", "ckpt_path"} & config.json.keys()


def test_quoted_forms_that_hints_advise_are_read(dlctl: Dlctl) -> None:
    found = dlctl("show-config", 'task_name="größe"', 'tags=["größe",b]', "--format", "json").json
    assert (found["task_name"], found["tags"]) == ("größe", ["größe", "b"])
