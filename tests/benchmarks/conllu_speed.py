"""The CoNLL-U parser beside udapi and conllu, on the English Web Treebank.

Run it with ``python tests/benchmarks/conllu_speed.py``; it wants udapi, conllu and DLCTL_TEST_DATA.
Times are CPU time. Every round reads with each library, and with ours right before and after it, so that what
else a machine does falls on both. Ratios are medians of rounds.
"""

import gc
import gzip
import importlib.util
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dlctl.data.conllu_parser import columns, read

SPLITS = ("train", "dev", "test")
MISSING = [name for name in ("udapi", "conllu") if importlib.util.find_spec(name) is None]
MEMORY = """
import gc, psutil
import {module}
before = psutil.Process().memory_info().rss
kept = {load}
{use}
gc.collect()
print(psutil.Process().memory_info().rss - before)
"""


def whole(folder: str) -> Path:
    """The three parts in one file."""
    data = Path(os.environ["DLCTL_TEST_DATA"], "ud")
    parts = [gzip.decompress((data / f"en_ewt-ud-{name}.conllu.gz").read_bytes()) for name in SPLITS]
    file = Path(folder, "all.conllu")
    file.write_bytes(b"".join(parts))
    return file


def all_ten(file: Path) -> int:
    rows = 0
    for sentence in read(file):
        for t in sentence.tokens:
            _ = (t.id, t.form, t.lemma, t.upos, t.xpos, t.feats, t.head, t.deprel, t.deps, t.misc)
            rows += 1
    return rows


def form_and_upos(file: Path) -> int:
    rows = 0
    for sentence in read(file):
        for t in sentence.tokens:
            _ = (t.form, t.upos)
            rows += 1
    return rows


def two_columns(file: Path) -> int:
    return sum(len(forms) for forms, _ in columns(file, "form", "upos"))


def trees(file: Path) -> Iterator[Any]:
    """Udapi's trees, one after the other."""
    from udapi.block.read.conllu import Conllu

    reader = Conllu(files=[str(file)])
    reader.next_filehandle()
    while (tree := reader.read_tree()) is not None:
        yield tree


def udapi_all_ten(file: Path) -> int:
    """All ten columns, features and MISC as mappings and DEPS as a list, like ours."""
    rows = 0
    for tree in trees(file):
        for t in tree.descendants:
            _ = (
                t.ord,
                t.form,
                t.lemma,
                t.upos,
                t.xpos,
                len(t.feats),
                t.parent.ord,
                t.deprel,
                t.deps,
                len(t.misc),
            )
            rows += 1
        rows += len(tree.empty_nodes) + len(tree.multiword_tokens)
    return rows


def udapi_form_and_upos(file: Path) -> int:
    """Also the quickest that udapi reads, which leaves features, MISC and DEPS as text."""
    rows = 0
    for tree in trees(file):
        for t in tree.descendants:
            _ = (t.form, t.upos)
            rows += 1
        rows += len(tree.empty_nodes) + len(tree.multiword_tokens)
    return rows


def conllu_all_ten(file: Path) -> int:
    import conllu

    rows = 0
    names = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
    with file.open(encoding="utf-8") as stream:
        for sentence in conllu.parse_incr(stream):
            for token in sentence:
                _ = [token[name] for name in names]
                rows += 1
    return rows


Reader = Callable[[Path], int]
OURS: list[Reader] = [all_ten, form_and_upos, two_columns]
THEIRS: list[Reader] = [conllu_all_ten, udapi_all_ten, udapi_form_and_upos]


def seconds(reader: Reader, file: Path) -> float:
    gc.collect()
    began = time.process_time()
    reader(file)
    return time.process_time() - began


def once(file: Path) -> tuple[dict[tuple[Reader, Reader], float], dict[Reader, float]]:
    """How many times the seconds of each of ours each of theirs takes, and the seconds of ours."""
    ratios, took = {}, {}
    before = [seconds(each, file) for each in OURS]
    for other in THEIRS:
        theirs = seconds(other, file)
        after = [seconds(each, file) for each in OURS]
        for each, *two in zip(OURS, before, after, strict=True):
            took[each] = statistics.mean(two)
            ratios[other, each] = theirs / took[each]
        before = after
    return ratios, took


def memory(module: str, load: str, use: str = "") -> float:
    """The bytes that all sentences take, in a process of their own."""
    code = MEMORY.format(module=module, load=load, use=use)
    return float(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    )


def measure(rounds: int) -> dict[str, float]:
    """Ratios by name, and rows a second of columns."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        file = whole(folder)
        rows = all_ten(file)
        rounds_ = [once(file) for _ in range(rounds)]

        def times(other: Reader, ours: Reader) -> float:
            return statistics.median(ratios[other, ours] for ratios, _ in rounds_)

        def speed(ours: Reader) -> float:
            return rows / statistics.median(took[ours] for _, took in rounds_)

        found = {
            "rows": rows,
            "all ten columns, rows a second": speed(all_ten),
            "all ten columns, times udapi, typed too": times(udapi_all_ten, all_ten),
            "all ten columns, times udapi that leaves text": times(udapi_form_and_upos, all_ten),
            "all ten columns, times conllu": times(conllu_all_ten, all_ten),
            "form and upos of tokens, times udapi": times(udapi_form_and_upos, form_and_upos),
            "form and upos as columns, times udapi": times(udapi_form_and_upos, two_columns),
            "columns, times conllu": times(conllu_all_ten, two_columns),
            "columns, rows a second": speed(two_columns),
        }
        ours, load = "dlctl.data.conllu_parser", f"dlctl.data.conllu_parser.load({str(file)!r})"
        theirs = memory("conllu", f"conllu.parse(open({str(file)!r}, encoding='utf-8').read())")
        used = "for sentence in kept:\n    for token in sentence.tokens: token.feats, token.deps"
        found["memory of sentences, part of conllu's"] = memory(ours, load) / theirs
        found["memory of sentences and all tokens, part of conllu's"] = memory(ours, load, used) / theirs
        return found


def main() -> None:
    missing = MISSING if "DLCTL_TEST_DATA" in os.environ else [*MISSING, "DLCTL_TEST_DATA"]
    if missing:
        print(f"  the CoNLL-U parser is not measured without {' and '.join(missing)}")
        return
    for name, value in measure(5).items():
        print(f"  {name:55} {value:12,.2f}")


if __name__ == "__main__":
    main()
