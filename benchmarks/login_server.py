"""NASA's data hosts, their login and the cloud behind them, imitated under their own names and over https.

The server is a proxy that ends every tunnel itself: clients ask ``https://urs.earthdata.nasa.gov`` and its kin, as
they do in earnest, and are answered here with a certificate that only a test trusts. A data host sends whoever
has no token to the login, the login sends back with a code, and the file lies under a signed address.
"""

from __future__ import annotations

import base64
import datetime
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from archive_server import PAGE, Archive, Handler, archive
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOGIN = "urs.earthdata.nasa.gov"
SEARCH = "cmr.earthdata.nasa.gov"
DATA = "data.lpdaac.earthdatacloud.nasa.gov"
CLOUD = "lp-prod-protected.s3.us-west-2.amazonaws.com"
STRANGER = "files.example.org"
HOSTS = (LOGIN, SEARCH, DATA, CLOUD, STRANGER, f"{LOGIN}.example.org")
#: Part of a signed address, and of the way back from the login: as good as a password for a while.
SIGNATURE, CODE, COOKIE = "s1gnature-of-aws", "c0de-of-the-login", "c00kie-of-the-host"


@dataclass
class Door:
    """What the login knows, and how the data host opens.

    Attributes
    ----------
    names
        Passwords by name.
    tokens
        Those that hold; a name gets the last.
    way
        ``token``: who has a token gets the file, others a 401. ``code``: all are sent to the login. Any address:
        all are sent there.
    issued
        How often a token was asked for.
    expires_after
        Downloads after which the tokens of now hold no longer, and a new one does.
    """

    names: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    way: str = "token"
    issued: int = 0
    expires_after: int | None = None


class LoginHandler(Handler):
    """Answer as the host that is asked for."""

    door: Door
    tls: ssl.SSLContext

    def do_CONNECT(self) -> None:  # noqa: N802
        """Open a tunnel, and be its other end."""
        self.send_response(200)
        self.end_headers()
        self.request = self.tls.wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def finish(self) -> None:
        """Close the inner end of the tunnel; the server knows of the outer one only."""
        super().finish()
        self.request.close()

    def do_GET(self) -> None:  # noqa: N802
        """Answer as the host that is asked for."""
        host = self.headers.get("Host", "").partition(":")[0]
        address = urlsplit(self.path)
        if host == SEARCH:
            super().do_GET()
            return
        with self.archive.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.archive.asked.append((self.command, address.path, headers))
        if host == LOGIN and address.path == "/oauth/authorize":
            self._authorize(parse_qs(address.query))
        elif host == DATA and address.path == "/login":
            self._back(parse_qs(address.query))
        elif host == DATA:
            self._open(address.path)
        elif host == CLOUD:
            self._signed(address.path, parse_qs(address.query))
        else:
            self._send(200, PAGE, {"Content-Type": "text/html"})

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:  # noqa: N802
        """Give a token to who has name and password."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.archive.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.archive.asked.append(("POST", urlsplit(self.path).path, headers))
        is_asked = self.path == "/api/users/find_or_create_token"
        if self.headers.get("Host") != LOGIN or not is_asked:
            self._send(404, b"no such page")
        elif not self._is_known():
            self._json({"error": "invalid_credentials"}, status=401)
        else:
            self.door.issued += 1
            token = self.door.tokens[-1]
            self._json({"access_token": token, "expiration_date": "01/01/2099"})

    def _is_known(self) -> bool:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return False
        name, _, password = base64.b64decode(text).decode().partition(":")
        return self.door.names.get(name) == password

    def _authorize(self, query: dict[str, list[str]]) -> None:
        if not self._is_known():
            self._send(401, PAGE, {"Content-Type": "text/html", "WWW-Authenticate": "Basic"})
            return
        state = quote(query["state"][0], safe="")
        back = f"{query['redirect_uri'][0]}?code={CODE}&state={state}"
        self._send(302, b"", {"Location": back, "Set-Cookie": "_urs=1; Secure; HttpOnly"})

    def _back(self, query: dict[str, list[str]]) -> None:
        if query.get("code") != [CODE]:
            self._send(403, b"no code")
            return
        cookie = f"door={COOKIE}; Path=/; Secure; HttpOnly"
        self._send(302, b"", {"Location": query["state"][0], "Set-Cookie": cookie})

    def _open(self, path: str) -> None:
        door = self.door
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if door.way == "token":
            with self.archive.lock:
                is_open = kind == "Bearer" and token in door.tokens
                if is_open and door.expires_after is not None:
                    door.expires_after -= 1
                    if door.expires_after < 0:
                        is_open, door.expires_after = False, None
                        door.tokens = [f"{token}-new"]
            status = 401
        elif door.way == "code":
            is_open = COOKIE in self.headers.get("Cookie", "")
            status = 302
        else:
            self._send(302, b"", {"Location": door.way})
            return
        if is_open:
            signed = f"https://{CLOUD}{path}?X-Amz-Signature={SIGNATURE}"
            self._send(303, b"", {"Location": signed})
        elif status == 401:
            self._send(401, b"no token that holds")
        else:
            back = f"https://{LOGIN}/oauth/authorize?client_id=x&redirect_uri=https://{DATA}/login"
            state = quote(f"https://{DATA}{path}", safe="")
            self._send(302, b"", {"Location": f"{back}&state={state}"})

    def _signed(self, path: str, query: dict[str, list[str]]) -> None:
        if "Authorization" in self.headers:  # as AWS does: one way to show who asks, not two
            self._send(400, b"Only one auth mechanism allowed")
        elif query.get("X-Amz-Signature") != [SIGNATURE]:
            self._send(403, b"AccessDenied")
        else:
            self._file(path.rpartition("/")[2])


def certificate(folder: Path) -> Path:
    """Make a certificate of all hosts, with its key, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imitated archives")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(text + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def guarded_archive(pem: Path) -> Iterator[tuple[Archive, Door]]:
    """Serve the hosts behind a proxy (`Archive.url`) for as long as they are used."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    door = Door()
    with archive(LoginHandler, door=door, tls=tls) as served:
        yield served, door
