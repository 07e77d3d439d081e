"""A BucketFS server for tests: its HTTP protocol, and the ways in which it can fail.

After the documentation of BucketFS and what exasol-bucketfs sends and expects; `test_double.py`
checks it with that client.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

READ_PASSWORD = "read-pa55wörd"
WRITE_PASSWORD = "write-pa55wörd"
SERVICE = "bfsdefault"


@dataclass
class Bucket:
    """Files by key, and who may have them."""

    files: dict[str, bytes] = field(default_factory=dict)
    public: bool = False
    passwords: dict[str, str] = field(default_factory=lambda: {"r": READ_PASSWORD, "w": WRITE_PASSWORD})


@dataclass
class Faults:
    """What goes wrong next."""

    #: Break uploads off after as many bytes of their body.
    break_uploads_after: int | None = None
    #: Keep what a broken upload has brought: BucketFS's documentation says that it doesn't.
    keep_parts: bool = False
    #: End the whole server with a broken upload.
    die: bool = False
    #: Promise the whole file in downloads, send as many bytes of it.
    truncate_downloads_to: int | None = None
    #: Answer every request for a file so.
    status: int | None = None


class Double:
    """BucketFS on a free port of 127.0.0.1, in a thread, over HTTP or HTTPS.

    Attributes:
        buckets: By name; there is ``default``.
        requests: Method and path of each request so far.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.buckets = {"default": Bucket()}
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"double": self}))
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if certificate else 'http'}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def files(self) -> dict[str, bytes]:
        return self.buckets["default"].files

    def uri(self, path: str = "", bucket: str = "default") -> str:
        scheme = "exa+bfss" if self.url.startswith("https") else "exa+bfs"
        return f"{scheme}://{self.host}/{SERVICE}/{bucket}/{path}".rstrip("/")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def running(self) -> Iterator[Double]:
        self.start()
        try:
            yield self
        finally:
            self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds
    double: Double

    def do_GET(self) -> None:
        name, key = self._address()
        if not name:
            self._answer(200, "".join(f"{bucket}\n" for bucket in self.double.buckets).encode())
            return
        bucket = self._opened(name, writing=False)
        if bucket is None:
            return
        if not key:
            # As a server may send it: no charset, no order.
            listing = "".join(f"{key}\n" for key in reversed(bucket.files))
            self._answer(200, listing.encode())
        elif self.double.faults.status:
            self._answer(self.double.faults.status)
        elif key in bucket.files:
            self._answer(200, bucket.files[key], self.double.faults.truncate_downloads_to)
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        name, key = self._address()
        if self.headers["Content-Length"] is None:
            self._answer(411)
            return
        body = self._body()
        bucket = self._opened(name, writing=True)
        if bucket is None or body is None:
            return
        if self.double.faults.status:
            self._answer(self.double.faults.status)
            return
        bucket.files[key] = body
        self._answer(200)

    def do_DELETE(self) -> None:
        name, key = self._address()
        bucket = self._opened(name, writing=True)
        if bucket is not None:
            self._answer(200 if bucket.files.pop(key, None) is not None else 404)

    def _address(self) -> tuple[str, str]:
        self.double.requests.append((self.command, self.path))
        name, _, key = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/").partition("/")
        return name, key

    def _opened(self, name: str, *, writing: bool) -> Bucket | None:
        """Give the bucket if the request may have it; else answer why not."""
        bucket = self.double.buckets.get(name)
        if bucket is None:
            self._answer(404)
            return None
        if bucket.public and not writing:
            return bucket
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(given).decode(errors="replace").partition(":")
        if scheme != "Basic" or bucket.passwords.get(user) != password:
            self._answer(401)
            return None
        if writing and user != "w":
            self._answer(403)
            return None
        return bucket

    def _body(self) -> bytes | None:
        """Read the body; break off where the test wants it."""
        length, limit = int(self.headers["Content-Length"]), self.double.faults.break_uploads_after
        if limit is None or limit >= length:
            return self.rfile.read(length)
        part = self.rfile.read(limit)
        name, _, key = urllib.parse.unquote(self.path).lstrip("/").partition("/")
        if self.double.faults.keep_parts:
            self.double.buckets[name].files[key] = part
        if self.double.faults.die:
            self.double.stop()
        self._hang_up()
        return None

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, body: bytes = b"", cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self._hang_up()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


def self_signed(folder: Path) -> Path:
    """Make a key and a certificate of its own for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "BucketFS of a test")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "bucketfs.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
