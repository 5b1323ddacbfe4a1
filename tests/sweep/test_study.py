"""Which trial is next, where a command cannot show it: clocks, hosts, ranges."""

from pathlib import Path

import optuna
import pytest

from dlctl.composition.overrides import parse
from dlctl.composition.search_path import loader
from dlctl.project import Project
from dlctl.sweep import space as spaces
from dlctl.sweep import study as studies
from dlctl.sweep.study import Study


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    clock = [0.0]
    monkeypatch.setattr(studies.time, "monotonic", lambda: clock[0])
    return clock


def two_workers(monkeypatch: pytest.MonkeyPatch, words: str = "seed=interval(1,9)") -> tuple[Study, Study]:
    """A study as workers of two hosts see it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = spaces.space(parse([words], loader(Project.find())), zipped=False, sampled=False)
    there = optuna.create_study()
    monkeypatch.setattr("socket.gethostname", lambda: "far")
    far = Study(there, space, 2)
    monkeypatch.setattr("socket.gethostname", lambda: "near")
    return Study(there, space, 2), far


def test_silent_trial_of_another_host_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, at: list[float]
) -> None:
    near, far = two_workers(monkeypatch)
    trial = far.next()
    assert trial is not None
    for at[0] in range(0, 1000, 100):  # signs of life arrive
        assert far.beat(trial)
        assert near.recover() == []
    at[0] += 100
    assert near.recover() == []
    assert near.others_run
    at[0] += 100
    assert near.recover() == [trial.number]
    again = near.next()
    assert again is not None
    assert again.params == trial.params

    # The other one was only asleep: whatever it tells now is not heard, and it learns that.
    assert not far.beat(trial)
    far.begin(trial, "somewhere")
    assert far.report(trial, 1.0, 1)
    assert far.finish(trial, "complete", [1.0]) is None
    assert near.rows == []


@pytest.mark.parametrize("mode", ["seed=interval(1,9)", "seed=1,2,3"])
def test_trial_of_this_host_is_no_other_clocks_business(
    monkeypatch: pytest.MonkeyPatch, at: list[float], mode: str
) -> None:
    near, _ = two_workers(monkeypatch, mode)
    assert near.next() is not None
    at[0] += 10_000
    assert near.recover() == []


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("a=range(0.0,1.0,0.3)", [0.0, 0.3, 0.6, 0.9]),
        ("a=range(0.001,0.004,0.001)", [0.001, 0.002, 0.003]),
        ("a=range(1,10,4)", [1, 5, 9]),
        ("a=range(0.5,0.2,-0.1)", [0.5, 0.4, 0.3]),
        ("a=true,null,[1,2]", [True, None, "[1,2]"]),
        # Optuna takes these for one another.
        ('a=true,1,1.0,"1",null', ["True", "1", "1.0", '"1"', "null"]),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampled", [False, True])
def test_values_of_a_list_are_all_tried_as_they_were_written(
    tmp_path: Path, words: str, values: list[object], sampled: bool
) -> None:
    space = spaces.space(parse([words], loader(Project.find())), zipped=False, sampled=sampled)
    # What is in memory never was written.
    found = optuna.create_study(
        storage=f"sqlite:///{tmp_path}/study.db", sampler=optuna.samplers.BruteForceSampler(seed=1)
    )
    study = Study(found, space, len(values))
    tried: list[object] = []
    while trial := study.next():
        row = study.finish(trial, "complete", [0.0])
        assert row is not None
        tried.append(row.params["a"])
    if sampled:
        tried.sort(key=values.index)
    assert [(type(each), each) for each in tried] == [(type(each), each) for each in values]
    high = next(iter(study._distributions.values()))
    if isinstance(high, optuna.distributions.FloatDistribution):
        assert high.high == values[-1]


def test_best_trials_are_those_that_none_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    space = spaces.space(parse(["a=range(6)"], loader(Project.find())), zipped=False, sampled=False)
    for directions, values, best in (
        (["maximize"], [[1], [3], [2], [3]], [1]),
        (["minimize"], [[2], [1], [1]], [1]),
        (["maximize", "minimize"], [[1, 1], [2, 2], [1, 2], [2, 2], [0, 5]], [0, 1, 3]),
    ):
        study = Study(optuna.create_study(directions=directions), space, len(values))
        for each in values:
            trial = study.next()
            assert trial is not None
            study.finish(trial, "complete", each)
        assert [row.number for row in study.best] == best
