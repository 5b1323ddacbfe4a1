"""Where CoNLL-U comes from: files, standard input, bytes; packed or not, by content."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from dlctl.errors import NotFoundError

Source = str | Path | bytes | IO[bytes] | IO[str]
# What fits into a processor's cache is cut up quicker.
_CHUNK = 1 << 15
_BROKEN = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    OSError,
    ValueError,  # of a broken zip archive, and of bytes that a file of text cannot read
    RuntimeError,
    NotImplementedError,
)


def open_all(source: Source) -> Iterator[tuple[str, IO[bytes]]]:
    """The files that a source holds, a zip archive several: the name of each, and its bytes unpacked.

    Raises:
        NotFoundError: it is not there or cannot be read.
    """
    name, stream, ours = _open(source)
    try:
        yield from _unpacked(name, stream)
    finally:
        if ours:
            stream.close()


def chunks(name: str, stream: IO[bytes]) -> Iterator[bytes]:
    """A file piece by piece; pieces end where lines end, the last where the file does.

    Raises:
        NotFoundError: it cannot be read, or its packing is broken.
    """
    rest = b""
    while True:
        try:
            # A line longer than a piece must not be copied again with every piece.
            more = stream.read(max(_CHUNK, len(rest)))
        except _BROKEN as error:
            raise _unreadable(name, error) from error
        if not more:
            break
        rest += more
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _open(source: Source) -> tuple[str, IO[bytes], bool]:
    """A name for messages, a stream of bytes, and whether it is ours to close."""
    if isinstance(source, bytes):
        return "<bytes>", io.BytesIO(source), True
    if isinstance(source, str | Path):
        if str(source) == "-":
            if sys.stdin is None:
                raise NotFoundError("there is no standard input")
            return "<stdin>", _as_bytes(getattr(sys.stdin, "buffer", sys.stdin)), False
        try:
            return str(source), Path(source).open("rb"), True
        except OSError as error:
            raise _unreadable(str(source), error) from error
    name = getattr(source, "name", None)
    shown = name if isinstance(name, str) else "<file>"
    return shown, _as_bytes(source), False


def _as_bytes(source: Any) -> Any:
    if isinstance(source, io.TextIOBase) or isinstance(getattr(source, "read", lambda n: b"")(0), str):
        return _Encoded(source)
    return source


def _unpacked(name: str, stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        start = b""
        while len(start) < 6 and (more := stream.read(6 - len(start))):  # a pipe may give less
            start += more
        whole: Any = _Begun(start, stream)
        if start.startswith(b"\x1f\x8b"):
            whole = gzip.GzipFile(fileobj=whole)
        elif start == b"\xfd7zXZ\0":
            whole = lzma.LZMAFile(whole)  # noqa: SIM115 - closed with the source it reads
        elif start.startswith(b"BZh"):
            whole = bz2.BZ2File(whole)
        elif start.startswith(b"PK\x03\x04"):
            yield from _members(name, io.BytesIO(whole.read()))
            return
    except _BROKEN as error:
        raise _unreadable(name, error) from error
    yield name, whole


def _members(name: str, archive: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The treebanks in a zip archive; its only file, whatever its name."""
    with closing(zipfile.ZipFile(archive)) as packed:
        files = [each for each in packed.namelist() if not each.endswith("/")]
        treebanks = [each for each in files if each.endswith((".conllu", ".conllup"))] or files
        if not treebanks or (len(treebanks) > 1 and treebanks is files):
            raise NotFoundError(f"no .conllu file in {name}", hint="name the files in the archive *.conllu")
        for each in treebanks:
            with packed.open(each) as stream:
                yield f"{name}/{each}", stream


def _unreadable(name: str, error: BaseException) -> NotFoundError:
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"no such file: {name}")
    if isinstance(error, IsADirectoryError):
        return NotFoundError(f"{name} is a folder, not a file")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return NotFoundError(f"cannot read {name}: {reason}")


class _Begun(io.RawIOBase):
    """A stream of which the first bytes have been read already."""

    def __init__(self, start: bytes, stream: IO[bytes]) -> None:
        self._start, self._stream = start, stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start, self._start = self._start, b""
        if size is None or size < 0:
            return start + self._stream.read()
        if len(start) > size:
            self._start = start[size:]
            return start[:size]
        return start + self._stream.read(size - len(start))

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class _Encoded(io.RawIOBase):
    """A file of text, as bytes again."""

    def __init__(self, text: Any) -> None:
        self._text = text
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        # What was decoded with surrogateescape goes back to the bytes that it was.
        found = self._left or _bytes(self._text.read(size))
        if 0 <= size < len(found):
            found, self._left = found[:size], found[size:]
        else:
            self._left = b""
        return found


def _bytes(text: str) -> bytes:
    """Text as bytes; a half of a surrogate pair becomes bytes that are no UTF-8, of which reading tells."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
