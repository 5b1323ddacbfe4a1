"""Put sentences in the forms of other programs together: with headings, between brackets, in one table."""

from typing import IO, Any

from dlctl.data.conllu_cells import COLUMNS
from dlctl.data.conllu_export import PLACE, Piece, names_of
from dlctl.data.conllu_written import blank_line
from dlctl.errors import ConfigError

# So many rows of a table are held until they are written.
_ROWS = 50_000


class Writer:
    """Writes pieces one after the other.

    Args:
        stream: where to.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.count = 0
        self.columns: tuple[str, ...] | None = None

    def add(self, piece: Piece) -> None:
        """Write a piece."""
        self.put(piece)
        self.count += 1

    def put(self, piece: Piece) -> None:
        """Write a piece that may be the first, or not."""
        self.stream.write(piece.data)

    def end(self) -> None:
        """Write what comes last."""

    def same_columns(self, columns: tuple[str, ...]) -> bool:
        """Whether these are the first columns that came.

        Raises:
            ConfigError: others came before, and one table holds one kind of rows.
        """
        if self.columns is None:
            self.columns = columns
            return False
        if self.columns != columns:
            raise ConfigError(
                f"the columns are not the same: {' '.join(self.columns)} and {' '.join(columns)}",
                hint="name files with the same columns, one output for each kind",
            )
        return True


class ConlluWriter(Writer):
    """Sentences as they were; blank lines between them even where a file did not end with one."""

    _end = b"\n\n"

    def put(self, piece: Piece) -> None:
        """Write a sentence, with the names of its columns if no comment of it tells them."""
        self.stream.write(blank_line(self._end))
        header = b"# global.columns ="
        told = self.same_columns(piece.columns) or piece.columns == COLUMNS or piece.data.startswith(header)
        if not told:
            self.stream.write(header + f" {' '.join(piece.columns)}\n".encode())
        self.stream.write(piece.data)
        self._end = piece.data


class JsonWriter(Writer):
    """One JSON object of all sentences."""

    def put(self, piece: Piece) -> None:
        """Write a sentence on a line of its own."""
        self.stream.write(b",\n" if self.count else b'{"schema_version": 1, "sentences": [\n')
        self.stream.write(piece.data)

    def end(self) -> None:
        """Close the object."""
        self.stream.write(b"\n]}\n" if self.count else b'{"schema_version": 1, "sentences": []}\n')


class CsvWriter(Writer):
    """A heading, then rows."""

    def put(self, piece: Piece) -> None:
        """Write the rows of a sentence."""
        if not self.same_columns(piece.columns):
            self._head(piece.columns)
        self.stream.write(piece.data)

    def end(self) -> None:
        """Write the heading of a table without rows."""
        if self.columns is None:
            self._head(COLUMNS)

    def _head(self, columns: tuple[str, ...]) -> None:
        self.stream.write((",".join([*PLACE, *names_of(columns)]) + "\n").encode())


class ParquetWriter(Writer):
    """A table in columns, written in groups of rows."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self._rows: list[tuple[Any, ...]] = []
        self._writer: Any = None
        self._schema: Any = None

    def __del__(self) -> None:
        # It would make a whole file of what was left unfinished, and not know that its stream is closed.
        if self._writer is not None:
            self._writer.is_open = False

    def put(self, piece: Piece) -> None:
        """Take the rows of a sentence."""
        if not self.same_columns(piece.columns):
            self._begin(piece.columns)
        self._rows += piece.data
        if len(self._rows) >= _ROWS:
            self._flush()

    def end(self) -> None:
        """Write the rows that are left, and what makes a file of them."""
        if self._writer is None:
            self._begin(COLUMNS)
        self._flush()
        self._writer.close()

    def _begin(self, columns: tuple[str, ...]) -> None:
        import pyarrow
        from pyarrow import parquet

        text = pyarrow.string()
        types = {
            "line": pyarrow.int64(),
            "head": pyarrow.int64(),
            "feats": pyarrow.map_(text, text),
            "deps": pyarrow.list_(pyarrow.struct([("head", text), ("deprel", text)])),
            "misc": pyarrow.map_(text, text),
        }
        names = [*PLACE, *names_of(columns)]
        self._schema = pyarrow.schema([(name, types.get(name, text)) for name in names])
        self._writer = parquet.ParquetWriter(self.stream, self._schema, compression="zstd")

    def _flush(self) -> None:
        import pyarrow

        columns = list(zip(*self._rows, strict=True)) or [()] * len(self._schema)
        arrays = [pyarrow.array(cells, type) for cells, type in zip(columns, self._schema.types, strict=True)]
        self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()


WRITERS: dict[str, type[Writer]] = {
    "conllu": ConlluWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


def writer(form: str, stream: IO[bytes]) -> Writer:
    """The writer of a format."""
    return WRITERS.get(form, Writer)(stream)


def need_parquet() -> None:
    """Find out before the work whether Parquet can be written.

    Raises:
        ConfigError: it cannot.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError("Parquet files need pyarrow", hint="pip install 'dlctl[parquet]'") from error
