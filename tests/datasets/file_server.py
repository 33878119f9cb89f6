"""A server on loopback that serves one file, well or badly."""

import contextlib
import dataclasses
import http.server
import socket
import threading


@dataclasses.dataclass
class Behaviour:
    """What the server does; one entry of a list per request, its last for all later."""

    content: bytes
    status: list[int] = dataclasses.field(default_factory=lambda: [200])
    cut_after: list[int | None] = dataclasses.field(default_factory=lambda: [None])
    says_length: bool = True
    ranges: bool = True
    wrong_range: bool = False
    etag: str | None = '"one"'
    silence: float = 0.0  # seconds before the second half of the body
    requests: list[dict[str, str]] = dataclasses.field(default_factory=list)

    def of_request(self, entries):
        return entries[min(len(self.requests) - 1, len(entries) - 1)]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        behaviour = self.server.behaviour
        behaviour.requests.append(dict(self.headers))
        status = behaviour.of_request(behaviour.status)
        if status != 200:
            self.send_response(status)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"sorry")
            return
        start = self._start()
        if start is not None and start >= len(behaviour.content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send_body(start)

    def _start(self):
        """Where an honoured range begins."""
        behaviour = self.server.behaviour
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if not asked or not behaviour.ranges:
            return None
        if condition is not None and condition != behaviour.etag:
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send_body(self, start):
        behaviour = self.server.behaviour
        body = behaviour.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            shown = 0 if behaviour.wrong_range else start
            size = len(behaviour.content)
            self.send_header("Content-Range", f"bytes {shown}-{size - 1}/{size}")
        if behaviour.etag:
            self.send_header("ETag", behaviour.etag)
        if behaviour.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = behaviour.of_request(behaviour.cut_after)
        body = body if cut is None else body[:cut]
        half = len(body) // 2
        with contextlib.suppress(OSError):  # the client may have gone
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.server.stop.wait(behaviour.silence)
            self.wfile.write(body[half:])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(behaviour):
    """Yields the address of the file."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.behaviour = behaviour
        server.stop = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/table.zip"
        finally:
            server.stop.set()
            server.shutdown()
            thread.join()


def unreachable_address():
    """An address that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/table.zip"
