"""Connections to a web server serve one request after the other, and only whole answers leave one behind."""

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pe_data.errors import ObjectNotFoundError, StoreUnavailableError
from pe_data.store.pace import PACE
from pe_data.store.web_source import Web

SIZE = 300_000


class Server(ThreadingHTTPServer):
    """Counts connections; closes each one after so many answers without a word."""

    daemon_threads = True

    def __init__(self, protocol: str = "HTTP/1.1", answers: int = 1_000) -> None:
        self.connections = 0
        self.answers = answers
        super().__init__(("127.0.0.1", 0), type("Handler", (Handler,), {"protocol_version": protocol}))

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        self.connections += 1
        return super().get_request()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """`/name` is the name's first letter, many times; `/redirect/name` leads there; `/none` is not there."""

    server: Server
    served = 0

    def do_GET(self) -> None:
        self.served += 1
        if self.path.startswith("/redirect/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/redirect"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/none":
            self.send_error(404)
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nccccc\r\n" * 4 + b"0\r\n\r\n")
        elif self.path == "/nonsense":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nccccc\r\nnone\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()
            self.wfile.write(b"s" * 10)
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()
            self.wfile.write(self.path[1:2].encode() * SIZE)
        if self.served >= self.server.answers:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running(Server())


def running(server: Server) -> Iterator[Server]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def read(web: Web, server: Server, name: str) -> bytes:
    with web.open(f"{server.url}/{name}", "mirror", pace=PACE) as body:
        return body.read(2 * SIZE)


def test_one_after_the_other_over_one_connection(server: Server) -> None:
    web = Web()
    for name in ("a", "b", "redirect/c", "d"):
        assert read(web, server, name) == name.removeprefix("redirect/").encode() * SIZE
    assert server.connections == 1


@pytest.mark.parametrize("name", ["chunks", "nonsense", "short"])
def test_an_answer_of_which_nobody_knows_the_end_leaves_no_connection(server: Server, name: str) -> None:
    """`http.client` closes an answer that broke off as it closes one that was read; what follows is not the next."""
    web = Web()
    with suppress(StoreUnavailableError):
        read(web, server, name)
    assert read(web, server, "b") == b"b" * SIZE
    assert server.connections == 2


def test_side_by_side_over_as_many_as_there_are_threads(server: Server) -> None:
    web = Web()
    names = [f"{letter}{number}" for letter in "abcde" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: read(web, server, name), names))
    assert found == [name[:1].encode() * SIZE for name in names]
    assert server.connections <= 4


def test_one_that_was_not_read_to_its_end_is_not_used_again(server: Server) -> None:
    web = Web()
    with web.open(f"{server.url}/a", "mirror") as body:
        assert body.readinto(memoryview(bytearray(10))) == 10
    assert read(web, server, "b") == b"b" * SIZE
    assert server.connections == 2


def test_an_error_does_not_spoil_the_next_answer(server: Server) -> None:
    web = Web()
    for _ in range(3):
        with pytest.raises(ObjectNotFoundError):
            read(web, server, "none")
        assert read(web, server, "b") == b"b" * SIZE


@pytest.mark.parametrize(("protocol", "answers"), [("HTTP/1.0", 1_000), ("HTTP/1.1", 1), ("HTTP/1.1", 2)])
def test_a_server_that_closes_connections(protocol: str, answers: int) -> None:
    for server in running(Server(protocol, answers)):
        web = Web()
        for name in "abcdef":
            assert read(web, server, name) == name.encode() * SIZE
        assert server.connections == (6 if answers != 2 else 3)


def test_a_server_that_is_gone_is_said_to_be_gone() -> None:
    web = Web()
    for server in running(Server(answers=1)):
        assert read(web, server, "a") == b"a" * SIZE
        url = server.url
    with pytest.raises(StoreUnavailableError, match="mirror: no answer"):
        web.open(f"{url}/b", "mirror")


def test_a_forked_process_takes_a_connection_of_its_own(server: Server) -> None:
    web = Web()
    read(web, server, "a")
    child = multiprocessing.get_context("fork").Process(target=read, args=(web, server, "b"))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert read(web, server, "c") == b"c" * SIZE
    assert server.connections == 2
