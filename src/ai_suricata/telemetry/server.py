"""/metrics, /health and /ready over HTTP, in a thread of its own.

A scrape is answered even while the event loop is busy: that is when it is needed.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Any, Protocol, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import orjson
import structlog
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ai_suricata.core.errors import ConfigError
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIEnvironment

    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

IDLE_SECONDS = 5.0
"""Longest wait for the next bytes of a request."""
MOST_REQUESTS = 16
"""Requests at once; the connection of the next one is closed."""

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_STOP_SECONDS = 0.1
_log = structlog.stdlib.get_logger(__name__)

Answer = tuple[str, str, bytes]
"""Status line, content type, body."""
_Request = socket.socket | tuple[bytes, socket.socket]
_Peer = tuple[Any, ...]


class ServerSettings(Protocol):
    """What of the settings is needed here: `config` and `telemetry` know nothing of each other."""

    @property
    def host(self) -> str:
        """Address to listen on."""

    @property
    def port(self) -> int:
        """TCP port; 0 takes any free one."""


class Application:
    """The WSGI application (PEP 3333)."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        """`metrics` and `health` are read at each request."""
        self._metrics = metrics
        self._health = health
        self._routes: dict[str, Callable[[], Answer]] = {
            "/metrics": self._show_metrics,
            "/health": self._show_health,
            "/ready": self._show_ready,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        line, kind, body = self._answer(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        if line.startswith("405"):
            headers.append(("Allow", "GET"))
        start_response(line, headers)
        return [body]

    def _answer(self, method: str, path: str) -> Answer:
        route = self._routes.get(path)
        if route is None:
            return "404 Not Found", _TEXT, b"There are /metrics, /health and /ready.\n"
        if method != "GET":
            return "405 Method Not Allowed", _TEXT, b"Only GET is answered.\n"
        try:
            return route()
        except Exception:  # noqa: BLE001 - whatever it is, the client is answered and it is logged
            _log.exception("request failed", path=path)
            return "500 Internal Server Error", _TEXT, b"The log says what went wrong.\n"

    def _show_metrics(self) -> Answer:
        return "200 OK", CONTENT_TYPE_PLAIN_0_0_4, self._metrics.render()

    def _show_health(self) -> Answer:
        snapshot = self._health.snapshot()
        failed = snapshot["status"] == Status.FAILED.value
        line = "503 Service Unavailable" if failed else "200 OK"
        return line, _JSON, orjson.dumps(snapshot, option=orjson.OPT_APPEND_NEWLINE)

    def _show_ready(self) -> Answer:
        line = "200 OK" if self._health.ready else "503 Service Unavailable"
        return line, _TEXT, f"{self._health.phase}\n".encode()


class _Handler(WSGIRequestHandler):
    """Reads a request with a time limit, and logs it where only debugging sees it."""

    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        _log.debug("request", client=self.client_address[0], line=format % args)


class _Listener(socketserver.ThreadingMixIn, WSGIServer):
    """A WSGI server with one thread a request, and so many threads at most."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_REQUESTS

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's own, which asks DNS for the name of the address and may wait for it.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: _Request, client_address: _Peer) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: _Request, client_address: _Peer) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, _request: _Request, client_address: _Peer) -> None:
        _log.debug("request broken off", client=client_address[0], exc_info=True)


class MetricsServer:
    """The HTTP server. It listens between `start` and `stop`."""

    def __init__(self, settings: ServerSettings, metrics: Metrics, health: Health) -> None:
        """Serve `metrics` and `health` where `settings` say."""
        self._settings = settings
        self._application = Application(metrics, health)
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; before `start`, the one that is set."""
        return self._listener.server_port if self._listener else self._settings.port

    def start(self) -> None:
        """Listen. Raises ConfigError where the address or the port can't be had."""
        self._listener = _listen(self._settings.host, self._settings.port)
        self._listener.set_app(self._application)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_STOP_SECONDS,), name="metrics", daemon=True
        )
        self._thread.start()
        _log.info("metrics are served", host=self._settings.host, port=self.port)

    def stop(self) -> None:
        """Stop listening; does nothing where it does not listen."""
        listener, thread = self._listener, self._thread
        self._listener = self._thread = None
        if listener is None or thread is None:
            return
        listener.shutdown()
        listener.server_close()
        thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _listen(host: str, port: int) -> _Listener:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return _Listener((host, port), family)
    except OSError as error:
        raise ConfigError([_remedy(host, port, error)]) from None


def _remedy(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"METRICS_PORT: port {port} of {host} is in use by another program; "
            "stop that one, or set METRICS_PORT to a free port"
        )
    if error.errno == errno.EACCES:
        return f"METRICS_PORT: no right to listen on port {port}; set METRICS_PORT to 1024 or more"
    return (
        f"METRICS_HOST: {host!r} is no address of this machine ({error.strerror}); "
        "set METRICS_HOST to one, such as 127.0.0.1"
    )
