"""Where ``parse-conllu`` writes: stdout, or a file that is whole or not there; packed if its name says so."""

import codecs
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from dlctl import terminal
from dlctl.cli import options
from dlctl.errors import UsageError
from dlctl.files import atomic_file

# The end of a name -> the format of the file.
_SUFFIXES = {f".{name}": name for name in ("conllu", "json", "jsonl", "csv", "parquet")} | {".txt": "text"}
_PACKED = (".gz", ".xz", ".bz2")
_IN_MEMORY = 1 << 24


def format_of(name: str) -> str | None:
    """The format that the name of a file tells."""
    path = Path(name)
    return _SUFFIXES.get((path.with_suffix("") if path.suffix in (*_PACKED, ".zip") else path).suffix)


def check(format: str | None, output: str | None, files: Sequence[str]) -> None:
    """Find out before the work whether its result can be written, and at nobody's expense.

    Raises:
        ConfigError: it cannot.
        UsageError: it would be written over what is read, or is not for terminals.
    """
    if format == "parquet":
        from dlctl.data.conllu_writers import need_parquet

        need_parquet()
        if output in (None, "-") and sys.stdout.isatty():
            raise UsageError("Parquet is nothing to look at", hint="--output FILE.parquet")
    if output in (None, "-"):
        # Reading would never come to the end of what it writes.
        if format and stdout_is_file():
            _refuse_read(os.fstat(sys.stdout.fileno()), "the file that stdout goes to", files)
        return
    path = Path(str(output))
    if path.suffix == ".zip":
        raise UsageError("zip archives are read and not written", hint=f"a name with {', '.join(_PACKED)}")
    if _descriptor(path) is None or not path.exists():
        options.check_output(path)
    if path.exists() and stat.S_ISREG(path.stat().st_mode):
        _refuse_read(path.stat(), str(output), files)


def _refuse_read(target: os.stat_result, name: str, files: Sequence[str]) -> None:
    if any(os.path.samestat(target, _stat(each)) for each in files):
        raise UsageError(f"{name} is read and would be overwritten", hint="name another file: --output FILE")


def _stat(file: str) -> os.stat_result:
    return os.fstat(0) if file == "-" else Path(file).stat()


def stdout_is_file() -> bool:
    """Whether results go to a file, in which nobody sees them come."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def target(name: str | None, *, whole: bool) -> "Iterator[IO[bytes]]":
    """Where results go: a file, which is there when all is written, or stdout."""
    number = None if name is None else _descriptor(Path(name))
    if number is not None:
        # Opened by its name, a file that was begun would be begun again.
        with open(number, "wb", closefd=False) as opened:
            yield opened
    elif name is not None and (not Path(name).exists() or Path(name).is_file()):
        # What a link points to is replaced, not the link.
        with atomic_file(Path(name).resolve()) as stream, _packing(name, stream) as packed:
            yield packed
    elif name is not None:
        with Path(name).open("wb") as stream:
            yield stream
    elif whole:
        with SpooledTemporaryFile(_IN_MEMORY) as held:
            yield held
            held.seek(0)
            shutil.copyfileobj(held, _stdout())
        sys.stdout.buffer.flush()
    else:
        yield _stdout()
        sys.stdout.buffer.flush()


def _stdout() -> "IO[bytes]":
    """What takes results on stdout: byte for byte, but nothing that would steer a terminal."""
    return _Escaped(sys.stdout.buffer) if sys.stdout.isatty() else sys.stdout.buffer  # type: ignore[return-value]


class _Escaped:
    """Escapes control characters on the way to a terminal.

    Args:
        stream: of the terminal.
    """

    def __init__(self, stream: "IO[bytes]") -> None:
        self._stream = stream
        # What is copied comes in pieces that may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def write(self, data: bytes) -> int:
        """Write UTF-8; ends of line may be those of Windows."""
        text = self._decoder.decode(data).replace("\r\n", "\n")
        self._stream.write(terminal.block(text).encode())
        return len(data)


def _descriptor(path: Path) -> int | None:
    """The stream that is meant by a name like /dev/stdout or /dev/fd/3."""
    known = {"/dev/stdout": 1, "/dev/stderr": 2}.get(str(path))
    return int(path.name) if str(path.parent) == "/dev/fd" and path.name.isdecimal() else known


@contextmanager
def _packing(name: str, stream: IO[bytes]) -> "Iterator[Any]":
    """A stream that packs what goes to a file with such a name."""
    import bz2
    import gzip
    import lzma

    packed: Any = stream
    if name.endswith(".gz"):
        packed = gzip.GzipFile("", "wb", fileobj=stream, mtime=0)
    elif name.endswith(".xz"):
        packed = lzma.LZMAFile(stream, "wb")  # noqa: SIM115 - closed below
    elif name.endswith(".bz2"):
        packed = bz2.BZ2File(stream, "wb")
    yield packed
    if packed is not stream:
        packed.close()
