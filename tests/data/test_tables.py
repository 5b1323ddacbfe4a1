"""Tables: what they hold, and what is told of those that hold something else."""

from pathlib import Path

import pytest

from dlctl.data.tables import read_table
from dlctl.errors import ConfigError, NotFoundError


@pytest.mark.parametrize(
    "text",
    ["a,kind\n1,cat\n2.5,dog\n", "a;kind\n1;cat\n\n2.5;dog\n", "\ufeffa\tkind\r\n1\tcat\r\n2.5\tdog\r\n"],
    ids=["commas", "semicolons and a blank line", "tabs, a byte order mark and CRLF"],
)
def test_cells_are_numbers_where_all_are(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    table = read_table(path)
    assert dict(table) == {"a": [1.0, 2.5], "kind": ["cat", "dog"]}
    assert table.numbers("a") == [1.0, 2.5]
    assert table.classes("kind") == (["cat", "dog"], [0, 1])


def test_classes_that_are_numbers_have_their_order(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,stars\n0,10\n0,2\n0,10\n")
    assert read_table(path).classes("stars") == (["2", "10"], [1, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "TABLE has no rows"),
        ("a,b\n", "TABLE has no rows"),
        ("a,b,a\n1,2,3\n", "TABLE has several columns 'a'"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "TABLE has numbers in its first line"),
        ("a,b\n1,2\n\n1\n", "TABLE: row 2 has 1 cells under 2 headings"),
        ("a,b\n1,2\n,3\n", "TABLE: in row 2 of column 'a' there is no value"),
        ("a,b\n1,2\n1;5,3\n", "TABLE: in row 2 of column 'a' '1;5' is no number"),
        ("a,b\n1,2\nnan,3\n", "TABLE: in row 2 of column 'a' nan is no finite number"),
        ("b\n1\n", "TABLE has no column 'a'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_table(path).numbers("a")
    assert str(told.value) == message.replace("TABLE", str(path))


def test_a_class_that_is_missing_is_no_class(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,kind\n1,cat\n2,\n")
    with pytest.raises(ConfigError, match="in row 2 of column 'kind' there is no value"):
        read_table(path).classes("kind")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no table"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("a,kind\n1,k\xe4fer\n".encode("latin-1"))
    with pytest.raises(NotFoundError, match="it is not in UTF-8"):
        read_table(tmp_path / "latin.csv")
    pytest.importorskip("pyarrow")
    (tmp_path / "text.parquet").write_text("a,b\n")
    with pytest.raises(NotFoundError, match="cannot read"):
        read_table(tmp_path / "text.parquet")


def test_parquet_with_a_hole(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1, 2], "b": [1.5, None]}), tmp_path / "table.parquet")
    table = read_table(tmp_path / "table.parquet")
    assert table.numbers("a") == [1.0, 2.0]
    with pytest.raises(ConfigError, match="in row 2 of column 'b' there is no value"):
        table.numbers("b")
