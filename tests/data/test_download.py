import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dlctl.data.download import Resource, fetch
from dlctl.errors import ConfigError, NotFoundError

CONTENT = {name: (f"what is in {name} " * 5000).encode() for name in ("one", "two")}
RESOURCES = [
    Resource(name, hashlib.md5(content).hexdigest(), len(content)) for name, content in CONTENT.items()
]


class Mirrors(BaseHTTPRequestHandler):
    """One good mirror and many that are not, by the first part of the path."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        _, mirror, name = self.path.split("/")
        content = CONTENT[name.removesuffix(".gz")]
        packed = gzip.compress(content, 1)
        if mirror == "hanging":
            self.server.release.wait(5)
            return
        if mirror == "dripping":
            self.send_response(200)
            self.end_headers()
            for byte in packed:
                self.wfile.write(bytes([byte]))
                if self.server.release.wait(0.02):
                    return
        bodies = {
            "good": packed,
            "cut": packed[: len(packed) // 2],
            "unpacked": content,
            "other": gzip.compress(content[::-1]),
            "short": gzip.compress(content[:-1]),
            "long": gzip.compress(content + b"!"),
            "bomb": gzip.compress(bytes(1_000_000)),
        }
        if mirror not in bodies:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(packed if mirror == "cut" else bodies[mirror])))
        self.end_headers()
        self.wfile.write(bodies[mirror])

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    asked: list[str]
    release: threading.Event

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is what is tested."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Mirrors)
    server.asked, server.release = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def dead() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_mirrors_that_fail_are_passed_over_and_the_one_that_served_is_asked_first(
    tmp_path: Path, server: Server, url: str, dead: str, capfd: pytest.CaptureFixture[str]
) -> None:
    mirrors = [dead, *(f"{url}/{each}" for each in ("hanging", "absent", "cut", "other", "good/"))]
    fetch(RESOURCES, tmp_path / "new" / "raw", mirrors, timeout=0.3)
    assert names(tmp_path / "new" / "raw") == ["one", "two"]
    for name, content in CONTENT.items():
        assert (tmp_path / "new" / "raw" / name).read_bytes() == content
    tried = ["/hanging/one.gz", "/absent/one.gz", "/cut/one.gz", "/other/one.gz", "/good/one.gz"]
    assert server.asked == [*tried, "/good/two.gz"]
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-2:] == [
        f"fetching one from {url.removeprefix('http://')}",
        f"fetching two from {url.removeprefix('http://')}",
    ]


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("absent", "HTTP 404 Not Found"),
        ("cut", "incomplete"),
        ("unpacked", "not a gzip file, or damaged"),
        ("other", "not the file it should be (md5 differs)"),
        ("short", "incomplete"),
        ("long", "larger than it should be"),
        ("bomb", "larger than it should be"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_and_leaves_nothing(
    tmp_path: Path, url: str, mirror: str, reason: str
) -> None:
    with pytest.raises(NotFoundError) as error:
        fetch(RESOURCES, tmp_path, [f"{url}/{mirror}"])
    place = url.removeprefix("http://")
    assert error.value.message == f"one is not in {tmp_path} and cannot be fetched ({place}: {reason})"
    assert error.value.hint == "put one.gz there, or name other mirrors with 'data.mirrors=[URL,...]'"
    assert names(tmp_path) == []


@pytest.mark.parametrize("mirror", ["hanging", "dripping"])
def test_a_mirror_that_sends_next_to_nothing_is_given_up(tmp_path: Path, url: str, mirror: str) -> None:
    started = time.monotonic()
    with pytest.raises(NotFoundError, match=r"no answer within 0\.3 s"):
        fetch(RESOURCES, tmp_path, [f"{url}/{mirror}"], timeout=0.3)
    assert time.monotonic() - started < 2
    assert names(tmp_path) == []


def test_every_mirror_has_its_reason_in_one_line(tmp_path: Path, url: str, dead: str) -> None:
    with pytest.raises(NotFoundError) as error:
        fetch(RESOURCES, tmp_path, [dead, f"{url}/absent", (tmp_path / "local").as_uri()])
    places = [dead.removeprefix("http://").rstrip("/"), url.removeprefix("http://"), tmp_path / "local"]
    assert error.value.message.endswith(
        f"({places[0]}: connection refused; {places[1]}: HTTP 404 Not Found; "
        f"{places[2]}/one.gz: no such file or directory)"
    )


def test_what_is_there_is_used_without_asking_a_mirror(tmp_path: Path, server: Server, url: str) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "one").write_bytes(b"unpacked already")
    (tmp_path / "two.gz").write_bytes(gzip.compress(CONTENT["two"]))
    fetch(RESOURCES, raw, [f"{url}/good"], nearby=[raw, tmp_path])
    assert server.asked == []
    assert (raw / "one").read_bytes() == b"unpacked already"
    assert (raw / "two").read_bytes() == CONTENT["two"]


def test_a_damaged_local_copy_is_replaced_from_a_mirror(tmp_path: Path, server: Server, url: str) -> None:
    (tmp_path / "one.gz").write_bytes(gzip.compress(CONTENT["one"])[:-20])
    fetch(RESOURCES[:1], tmp_path / "raw", [f"{url}/good"], nearby=[tmp_path])
    assert server.asked == ["/good/one.gz"]
    assert (tmp_path / "raw" / "one").read_bytes() == CONTENT["one"]


def test_an_interrupted_download_leaves_nothing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(RESOURCES, tmp_path, [f"{url}/good"])
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, server: Server, url: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as error:
        fetch(RESOURCES, tmp_path / "file" / "raw", [f"{url}/good"])
    assert error.value.message == f"cannot write to {tmp_path}/file/raw: not a directory"
    assert error.value.key == "data.data_dir"
    assert server.asked == []


@pytest.mark.parametrize("mirror", ["ftp://host/", "data/mnist", "data:,x"])
def test_only_web_and_file_urls_are_mirrors(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a http://, https:// or file:// URL"):
        fetch(RESOURCES, tmp_path, [mirror])


def test_a_password_in_a_url_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        fetch(RESOURCES, tmp_path, ["http://me:secret@127.0.0.1:1/"])
    assert "secret" not in error.value.message
