"""The ids of the rows of a sentence: in order or not, and that quickly."""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from dlctl.data.conllu_cells import COLUMNS, IDS, CellError, Id, Span

_FIRST = itemgetter(0)


def sound_ids(rows: list[list[str]], names: tuple[str, ...]) -> Sequence[Id] | None:
    """The ids of rows; None if a row has not its columns, a cell is empty or ids are not in order."""
    if set(map(len, rows)) != {len(names)} or not all(map(all, rows)):
        return None
    plain, numbers = counted(len(rows))
    if names is COLUMNS:
        texts = list(map(_FIRST, rows))
    elif "ID" in names:
        at = names.index("ID")
        texts = [row[at] for row in rows]
    else:
        return numbers
    if texts == plain:
        return numbers
    return ids_in_order(texts)


def plain_ids(count: int) -> list[str]:
    """The ids of a sentence that has words only."""
    return counted(count)[0]


@lru_cache(1024)
def counted(count: int) -> tuple[list[str], Sequence[Id]]:
    """The ids of a sentence that has words only, as texts and as numbers."""
    return [str(number) for number in range(1, count + 1)], [*range(1, count + 1)]


def in_order(texts: list[str]) -> bool:
    """Whether these are words 1 to n, multiword tokens before their first word, and empty nodes in order."""
    return ids_in_order(texts) is not None


def ids_in_order(texts: list[str]) -> list[Id] | None:
    """The ids that these are; None if they are not in order."""
    try:
        ids = [*map(IDS.__getitem__, texts)]
    except CellError:
        return None
    return ids if are_in_order(ids) else None


def are_in_order(ids: list[Id]) -> bool:
    """Whether these are words 1 to n, multiword tokens before their first word, and empty nodes in order."""
    word = first = last = after = number = 0
    for id_ in ids:
        if type(id_) is int:
            word += 1
            if id_ != word:
                return False
        elif isinstance(id_, Span):
            before = last
            first, last = id_
            if first != word + 1 or last < first or first <= before:
                return False
        else:
            number = number + 1 if after == word else 1
            after = word
            if id_ != (word, number) or first > word:
                return False
    return 0 < word >= last
