"""What happens to a search while its storage does not answer."""

import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy.exc import OperationalError

from dlctl.composition.overrides import parse
from dlctl.composition.search_path import loader
from dlctl.errors import Interrupted, NotFoundError
from dlctl.project import Project
from dlctl.runs.stop import Stop
from dlctl.sweep import space as spaces
from dlctl.sweep import storage as storages
from dlctl.sweep.patience import Patience, StorageLost
from dlctl.sweep.study import Study

describe = partial(storages.unreachable, "sqlite:///study.db")


def broken() -> OperationalError:
    return OperationalError("SELECT 1", {}, Exception("server closed the connection"))


class LosesAnswers:
    """Does what it is asked to do, and breaks the connection instead of answering."""

    def __init__(self, storage: Any, name: str, times: int = 1) -> None:
        self.method, self.left = getattr(storage, name), times
        setattr(storage, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = self.method(*args, **kwargs)
        if self.left:
            self.left -= 1
            raise broken()
        return found


def study(tmp_path: Path, words: str, *lost: str) -> Study:
    """A study in a database that loses the answer to these calls once."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = optuna.storages.get_storage(f"sqlite:///{tmp_path}/study.db")
    patience = Patience(60, lambda _: None)
    for name in lost:
        LosesAnswers(database, name)
    found = optuna.create_study(storage=patience.wrap(database, describe))
    space = spaces.space(parse([words], loader(Project.find())), zipped=False, sampled=False)
    return Study(found, space, 3, patience)


@pytest.mark.parametrize("words", ["seed=1,2,3", "seed=interval(1,1000)"])
@pytest.mark.parametrize(
    "lost", ["create_new_trial", "set_trial_state_values", "set_trial_user_attr", "get_all_trials"]
)
def test_lost_answer_neither_repeats_nor_loses_a_trial(
    tmp_path: Path, words: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A trial that was made and not signed is taken over after ten seconds.
    monkeypatch.setattr("dlctl.sweep.trials._older_than", lambda *_, **__: True)
    found = study(tmp_path, words, lost)
    tried = []
    while trial := found.next():
        tried.append(trial.params["seed"])
        row = found.finish(trial, "complete", [float(len(tried))])
        assert row is not None
        assert row.values == [len(tried)]
    assert len(set(tried)) == 3
    assert [row.values for row in found.rows] == [[1.0], [2.0], [3.0]]
    assert not found.others_run


def test_locked_database_is_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    patience = Patience(60, said.append)
    database = RDBStorage(f"sqlite:///{tmp_path}/x.db", engine_kwargs={"connect_args": {"timeout": 0.1}})
    found = optuna.create_study(storage=patience.wrap(database, describe))
    other = sqlite3.connect(tmp_path / "x.db", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(2, other.rollback).start()
    found.set_user_attr("key", 1)
    assert found.user_attrs["key"] == 1
    assert len(said) == 2
    assert "database is locked; waiting for it, for at most 1 min" in said[0]
    assert said[1].startswith("the study's storage answers again after ")
    assert patience.waited > 1


def test_storage_is_given_up_at_its_limit_and_at_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = optuna.storages.InMemoryStorage()
    LosesAnswers(storage, "get_all_studies", times=1000)
    patience = Patience(0.5, lambda _: None)
    patience.hint = "to go on: dlctl sweep"
    patience.wrap(storage, describe)
    with pytest.raises(StorageLost, match="server closed the connection") as lost:
        storage.get_all_studies()
    assert lost.value.hint == "to go on: dlctl sweep"
    assert lost.value.exit_code == 4
    began = time.monotonic()
    with pytest.raises(StorageLost):
        storage.get_all_studies()  # what has been given up is not waited for again
    assert time.monotonic() - began < 0.3

    patience.limit, patience.stop = 60, Stop()
    threading.Timer(0.3, lambda: setattr(patience.stop, "requested", 15)).start()
    with pytest.raises(Interrupted):
        storage.get_all_studies()
    with pytest.raises(StorageLost):
        storage.get_all_studies()


def test_deleted_study_and_missing_tables_are_not_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    storage = storages.connect(url, Patience(60, lambda _: None))
    found = optuna.create_study(storage=storage, study_name="s")
    with pytest.raises(NotFoundError, match="holds no study 'other'"):
        storages.load(storage, "other")
    optuna.delete_study(study_name="s", storage=url)
    with pytest.raises(StorageLost, match="no longer in its storage"):
        found.get_trials()
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("DROP TABLE studies")
    database.close()
    with pytest.raises(StorageLost, match="no such table"):
        found.get_trials()


def test_other_hosts_are_not_silent_while_the_storage_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "far")
    far = study(tmp_path, "seed=1,2,3")
    trial = far.next()
    assert trial is not None
    monkeypatch.setattr("socket.gethostname", lambda: "near")
    near = Study(far.optuna, far.space, 3, far.patience)
    assert near.recover() == []
    clock = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    near.patience.waited = 990
    assert near.recover() == []
    near.patience.waited = 0
    assert near.recover() == [trial.number]
