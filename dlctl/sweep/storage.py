"""Where studies are kept: SQLite, a database server or a journal file."""

import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from dlctl import redact
from dlctl.errors import ConfigError, DlctlError, NotFoundError, first_line
from dlctl.project import shown
from dlctl.sweep.patience import Patience
from dlctl.sweep.space import Space, another
from dlctl.sweep.trials import rows

# Under which a study notes what it searches.
SPACE = "dlctl:space"


# A server whose machine is gone sends nothing: without these a call would wait for hours.
_LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def connect(storage: str, patience: Patience | None = None) -> BaseStorage:
    """Open an Optuna URL or a journal file, which are made if they are not there.

    Args:
        storage: what to open; it has to answer at once.
        patience: for how long later calls are repeated; by default they fail at once.

    Raises:
        ConfigError: it is no storage. Messages hold no password.
        NotFoundError: its server cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        found = _connect(storage)
    except Exception as error:
        raise unreachable(storage, error) from None
    return (patience or Patience()).wrap(found, partial(unreachable, storage))


def _connect(storage: str) -> BaseStorage:
    if "://" not in storage:
        return JournalStorage(JournalFileBackend(storage))
    if storage.startswith("sqlite:///"):
        return _sqlite(storage)
    settings: dict[str, Any] = {"pool_pre_ping": True}
    if storage.startswith(("postgresql://", "postgresql+psycopg")):
        given = parse_qs(urlsplit(storage).query)
        settings["connect_args"] = {name: value for name, value in _LIBPQ.items() if name not in given}
    return _database(_url(storage), **settings)


def look(storage: str) -> BaseStorage | None:
    """Open a storage and make nothing in it; None if there is none yet and one could be made.

    Raises:
        ConfigError: it is something else.
        NotFoundError: its server cannot be reached.
    """
    file = storage.removeprefix("sqlite:///")
    if "://" not in file and not Path(file).exists():
        folder = Path(file).absolute().parent
        if not folder.is_dir():
            raise unreachable(storage, NotADirectoryError(f"there is no folder {shown(folder)}"))
        return None
    if "://" not in storage:
        return connect(storage)
    try:
        found = RDBStorage(_url(storage), skip_compatibility_check=True, skip_table_creation=True)
        if not inspect(found.engine).has_table("studies"):
            return None
        return Patience().wrap(found, partial(unreachable, storage))
    except Exception as error:
        raise unreachable(storage, error) from None


def names(storage: BaseStorage | None) -> list[tuple[str, int]]:
    """The studies that a storage holds, each with how many of its trials have ended."""
    if storage is None:
        return []
    found = [load(storage, name) for name in optuna.get_all_study_names(storage)]
    return [(study.study_name, len(rows(study))) for study in found]


def _url(storage: str) -> str:
    # SQLAlchemy's default driver for PostgreSQL is another one in each of its versions.
    return storage.replace("postgresql://", "postgresql+psycopg://", 1)


def _sqlite(storage: str) -> RDBStorage:
    file = Path(storage.removeprefix("sqlite:///"))
    with sqlite3.connect(file, timeout=60) as connection:
        # Readers do not wait for the writer; kept in the file. Busy only where others open it now.
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return _database(storage, connect_args={"timeout": 60})


def _database(url: str, **settings: Any) -> RDBStorage:
    """A database, with Optuna's tables; of several that make them at once all but one have to look again."""
    for tries_left in reversed(range(10)):
        try:
            return RDBStorage(url, engine_kwargs=settings)
        except SQLAlchemyError as error:
            raced = isinstance(error, IntegrityError) or "already exists" in str(error)
            if not raced or not tries_left:
                raise
            time.sleep(0.2)
    raise AssertionError


def unreachable(storage: str, error: Exception) -> DlctlError:
    """What a storage or its driver raised, in one line and without the password."""
    cause = error.__cause__ or error
    missing = next((each for each in (cause, error) if isinstance(each, ModuleNotFoundError)), None)
    server = "://" in storage and not storage.startswith("sqlite")
    hint = "look at the URL, and whether the server is up"
    if not server:
        hint = "name another file, in a folder that is there"
    if missing is not None:
        hint = "pip install 'dlctl[postgresql]'" if "postgres" in storage else f"pip install {missing.name}"
    if "file is not a database" in f"{error} {cause}":
        cause = ValueError("it is a file of another kind, and no SQLite database")
    if "://" not in storage and isinstance(error, ValueError | KeyError | TypeError):
        cause = ValueError("it is a file of another kind, and no journal of a study")
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        cause = cause.orig  # without SQL
    reason = first_line(cause)
    secret = redact.url_password(storage)
    reason = reason.replace(secret, "***") if secret else reason
    message = f"the study's storage {redact.text(storage)} cannot be reached: {redact.text(reason)}"
    if server and any(isinstance(each, OperationalError) for each in (error, error.__cause__)):
        return NotFoundError(message, hint=hint, key="storage", topic="storage")
    return ConfigError(message, hint=hint, key="storage", topic="storage")


def create(
    storage: BaseStorage, name: str, directions: Sequence[Any], space: Space, **parts: Any
) -> optuna.Study:
    """Open a study, or make it.

    Raises:
        ConfigError: there is one of that name that searches something else.
    """
    found = optuna.create_study(
        storage=storage, study_name=name, directions=list(directions), load_if_exists=True, **parts
    )
    if found.user_attrs.get(SPACE) is None and not found.get_trials(deepcopy=False):
        found.set_user_attr(SPACE, space.facts)
    refuse_another(found, directions, space)
    return found


def refuse_another(found: optuna.Study, directions: Sequence[Any], space: Space) -> None:
    """Leave a study alone that searches something else.

    Raises:
        ConfigError: it does.
    """
    known = found.user_attrs.get(SPACE)
    told = [each.name.lower() for each in found.directions]
    if known != space.facts or told != list(directions):
        raise another(found.study_name, known, space)


def load(storage: BaseStorage, name: str) -> optuna.Study:
    """Open a study that is there.

    Raises:
        NotFoundError: it is not.
    """
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError as error:
        raise NotFoundError(
            f"the storage holds no study '{name}'", hint="dlctl study status shows the studies"
        ) from error
