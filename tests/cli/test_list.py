"""``dlctl list`` shows the groups of configs and their options."""

from tests.conftest import Dlctl


def test_options_are_listed_with_what_they_are_for_and_the_chosen_one_is_marked(dlctl: Dlctl) -> None:
    assert [line.rstrip() for line in dlctl("list", "experiment").out.splitlines()] == [
        "experiment",
        "  example     A dense net on a sample of MNIST, ten epochs on a CPU in under a minute.",
        "  mnist       The example on the full MNIST: 55,000 training images, downloaded on first use.",
        "  tagger      Parts of speech on a small English treebank that comes with dlctl; no network.",
        "  tagger_ewt  Parts of speech on a treebank of real size, such as UD English-EWT.",
    ]
    data = dlctl("list", "data").out
    assert "* mnist_mini  A sample of MNIST" in data
    assert "  mnist       The full MNIST" in data


def test_projects_own_options_stand_among_the_packaged_ones(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/model").mkdir(parents=True)
    (dlctl.root / "configs/model/mine.yaml").write_text(
        "# @package _group_\n\n# Mine [with] brackets.\nx: 1\n"
    )
    groups = dlctl("list", "--json").json["groups"]
    assert list(groups)[:3] == ["callbacks", "data", "debug"]
    mine, mnist, _tagger = groups["model"]
    assert (mine["name"], mine["packaged"], mine["chosen"]) == ("mine", False, False)
    assert (mnist["name"], mnist["packaged"], mnist["chosen"]) == ("mnist", True, True)
    assert mine["about"] == "Mine [with] brackets."
    assert "Mine [with] brackets." in dlctl("list", "model").out


def test_unknown_group_is_told_with_the_close_ones(dlctl: Dlctl) -> None:
    assert dlctl("list", "modle", code=4).err == "error: there is no group 'modle'\n  did you mean model?\n"


def test_groups_are_listed_even_where_nothing_composes(dlctl: Dlctl) -> None:
    (dlctl.root / "configs").mkdir()
    (dlctl.root / "configs/train.yaml").write_text("a: [\n")
    result = dlctl("list", "model")
    assert "mnist" in result.out
    assert "does not compose" in result.err
