"""Fetch gzip'ed files from the first mirror that has them; checked, and never half-written."""

import contextlib
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dlctl import terminal
from dlctl.errors import ConfigError, NotFoundError, disk_full

_CHUNK = 1 << 16
# A mirror that keeps sending, but less than this a second, is as good as one that hangs.
_SLOWEST = 1 << 10


@dataclass(frozen=True)
class Resource:
    """A file as it is after unpacking, whichever way a mirror has packed it."""

    name: str
    md5: str
    size: int


class _Unavailable(Exception):
    """Why a mirror cannot serve a file, in a few words."""


def fetch(
    resources: Sequence[Resource],
    folder: Path,
    mirrors: Sequence[str],
    *,
    nearby: Sequence[Path] = (),
    timeout: float = 10.0,
) -> None:
    """Put the resources that are missing there into a folder, unpacked.

    Args:
        resources: what the folder is to hold.
        folder: made if it does not exist.
        mirrors: URLs of folders that hold ``<name>.gz``; tried in order. The one that has served a
            file is asked first for the next.
        nearby: local folders that may hold ``<name>.gz``; looked into before a mirror is asked.
        timeout: seconds without an answer after which the next mirror is tried.

    Raises:
        NotFoundError: no mirror has the file.
        ConfigError: the folder cannot be written, or a mirror is not a URL that is understood.
    """
    order = [_checked_mirror(mirror) for mirror in mirrors]
    for resource in resources:
        if (folder / resource.name).is_file():
            continue
        packed = (path / f"{resource.name}.gz" for path in nearby)
        local = [path.absolute().as_uri() for path in packed if path.is_file()]
        urls = [*local, *(f"{mirror}{resource.name}.gz" for mirror in order)]
        served = _fetch_one(resource, folder, urls, timeout)
        # False sorts first: the mirror that worked, then the others as they were.
        order.sort(key=lambda mirror: not served.startswith(mirror))


def _checked_mirror(mirror: str) -> str:
    if urlsplit(mirror).scheme not in ("http", "https", "file"):
        raise ConfigError(f"mirror {mirror!r} is not a http://, https:// or file:// URL", key="data.mirrors")
    return mirror if mirror.endswith("/") else f"{mirror}/"


def _fetch_one(resource: Resource, folder: Path, urls: Sequence[str], timeout: float) -> str:
    """Fetch a file from the first URL that serves it intact, and return that URL."""
    reasons = []
    for url in urls:
        try:
            with _progress(resource, url) as advance:
                chunks = _unpacked(_received(url, timeout), resource.size)
                _store(chunks, resource, folder, advance)
            return url
        except _Unavailable as reason:
            reasons.append(f"{_place(url)}: {reason}")
    raise NotFoundError(
        f"{resource.name} is not in {folder} and cannot be fetched "
        f"({'; '.join(reasons) or 'no mirrors are given'})",
        hint=f"put {resource.name}.gz there, or name other mirrors with 'data.mirrors=[URL,...]'",
    )


def _received(url: str, timeout: float) -> Iterator[bytes]:
    """The bytes behind a URL as they come in."""
    try:
        started = time.monotonic()
        total = 0
        with urllib.request.urlopen(url, timeout=timeout) as response:
            while chunk := response.read1(_CHUNK):
                total += len(chunk)
                elapsed = time.monotonic() - started
                if elapsed > timeout and total < elapsed * _SLOWEST:
                    raise TimeoutError
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Unavailable(_reason(error, timeout)) from error


def _reason(error: BaseException, timeout: float) -> str:
    """An error of urllib's in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return _reason(error.reason, timeout)
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _unpacked(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Unpack gzip as it comes in; no more than ``size`` bytes are accepted."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    total = 0
    try:
        for chunk in chunks:
            data = unpacker.decompress(chunk, size - total + 1)
            total += len(data)
            if total > size:
                raise _Unavailable("larger than it should be")
            yield data
    except zlib.error as error:
        raise _Unavailable("not a gzip file, or damaged") from error
    if total < size:
        raise _Unavailable("incomplete")


def _store(chunks: Iterable[bytes], resource: Resource, folder: Path, advance: Callable[[int], None]) -> None:
    """Write a file under a temporary name, check it and only then give it its name."""
    digest = hashlib.md5(usedforsecurity=False)
    temporary = folder / f".{resource.name}.{os.getpid()}.part"
    try:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    digest.update(chunk)
                    advance(len(chunk))
        if digest.hexdigest() != resource.md5:
            raise _Unavailable("not the file it should be (md5 differs)")
        with _writing(folder):
            temporary.replace(folder / resource.name)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say which folder cannot be written; a full disk is not the config's fault and stays."""
    try:
        yield
    except OSError as error:
        if disk_full(error):
            raise
        raise ConfigError(
            f"cannot write to {folder}: {(error.strerror or str(error)).lower()}",
            key="data.data_dir",
            hint="name another folder with data.data_dir=FOLDER",
        ) from error


def _place(url: str) -> str:
    """Where a URL leads: the host, without what may be a password, or the local file."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url2pathname(parts.path)


@contextlib.contextmanager
def _progress(resource: Resource, url: str) -> Iterator[Callable[[int], None]]:
    """Show how far a file has come: a bar on a terminal, otherwise one line; on stderr."""
    if not sys.stderr.isatty():
        print(terminal.one_line(f"fetching {resource.name} from {_place(url)}"), file=sys.stderr, flush=True)
        yield lambda size: None
        return

    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from dlctl.utils.safe_console import SafeConsole

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    console = SafeConsole(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(resource.name, total=resource.size)
        yield lambda size: bar.advance(task, size)
