"""A server on this machine that answers as the archives do, with the faults that archives have.

It imitates the search of NASA's Common Metadata Repository, granules behind a login, the Climate Data Store
and folders of public files, as far as vadose and the archives' own clients ask for them. Faults are named
by file and used up one by one: ``429``, ``503``, ``cut``, ``slow``, ``wrong``, ``longer``, ``empty``, ``html``,
``login`` (a redirection to a page), ``401``, ``404``, ``nowhere`` (a range that was not asked for).
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vadose.products.fetching import Servers

PAGE = b"<!DOCTYPE html><html><title>Earthdata Login</title></html>"


@dataclass
class Archive:
    """What the server has, the faults it will show, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    granules: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    #: States that the next jobs go through, the last of which stays; a reason may follow a colon.
    states: list[list[str]] = field(default_factory=list)
    of_job: list[list[str]] = field(default_factory=list)
    forgotten: set[int] = field(default_factory=set)
    #: Address of the files of jobs, in place of our own.
    elsewhere: str = ""
    page_size: int = 2000
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def servers(self) -> Servers:
        """Give the addresses that stand in for the archives'."""
        return Servers(
            search=f"{self.url}/search/",
            harmony=f"{self.url}/harmony/",
            elevation=f"{self.url}/data/",
            soil=f"{self.url}/data/",
            hosts=("127.0.0.1",),
            login="localhost",
            tokens=("127.0.0.1",),
            storage=(),
            is_https=False,
        )

    def add_granule(
        self,
        name: str,
        content: bytes,
        *,
        facts: Mapping[str, Any] | None = None,
        url: str = "",
        collection: str = "",
        short_name: str = "",
    ) -> None:
        """Add a granule to the search, with size and checksum unless other facts are given.

        One of a collection has the numbers under which the archive's services know it; one with a short name
        is found under that alone.
        """
        self.files[name] = content
        stated = {
            "Name": name,
            "SizeInBytes": len(content),
            "Checksum": {"Value": hashlib.md5(content).hexdigest(), "Algorithm": "MD5"},  # noqa: S324
        }
        self.granules.append(
            {
                "short_name": short_name,
                "meta": {
                    "concept-id": f"G{len(self.granules)}{collection and '-TEST'}",
                    "collection-concept-id": collection,
                },
                "umm": {
                    "GranuleUR": name,
                    "DataGranule": {
                        "ArchiveAndDistributionInformation": [
                            stated if facts is None else {"Name": name, **facts}
                        ]
                    },
                    "RelatedUrls": [
                        {"URL": "s3://bucket/" + name, "Type": "GET DATA VIA DIRECT ACCESS"},
                        {"URL": url or f"{self.url}/data/{name}", "Type": "GET DATA"},
                    ],
                },
            }
        )

    def count(self, prefix: str = "/") -> int:
        """Count the requests of a path."""
        return sum(path.startswith(prefix) for _, path, _ in self.asked)

    def ranges(self, name: str) -> list[str]:
        """List the ranges that were asked of a file; empty text for the whole."""
        return [
            headers.get("range", "")
            for method, path, headers in self.asked
            if path.endswith(f"/{name}") and method == "GET"
        ]


class Handler(BaseHTTPRequestHandler):
    """Answer one request."""

    protocol_version = "HTTP/1.1"
    #: Or an answer in two pieces waits 40 ms for the other side to have acknowledged the first.
    disable_nagle_algorithm = True
    archive: Archive

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a search, a file, a job or a page."""
        path = urlsplit(self.path).path
        with self.archive.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.archive.asked.append((self.command, path, headers))
        if path.startswith("/search/granules"):
            self._search()
        elif path.startswith("/data/"):
            self._file(path.rpartition("/")[2])
        elif "/jobs/" in path:
            self._job(path)
        elif "/processes/" in path:
            self._json({"id": path.rpartition("/")[2], "links": []})
        elif path.endswith("/messages"):
            self._json({"messages": []})
        elif path == "/oauth":
            self._send(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._send(404, b"no such page")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Take a request for fields."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        with self.archive.lock:
            self.archive.asked.append(("POST", self.path, dict(self.headers.items())))
            fault = self._fault("job")
            number = len(self.archive.jobs)
            if not fault:
                self.archive.jobs.append({"dataset": self.path.split("/")[-2], **body["inputs"]})
                states = self.archive.states
                self.archive.of_job.append(states.pop(0) if states else ["successful"])
        if fault == "gone":  # without an answer
            self.close_connection = True
            return
        if fault:
            self._json({"title": "required licences not accepted"}, status=int(fault))
            return
        job = f"{self.archive.url}/cds/retrieve/v1/jobs/{number}"
        links = [{"rel": "monitor", "href": job}]
        self._json({"jobID": str(number), "status": "accepted", "links": links}, status=201)

    def _job(self, path: str) -> None:
        """Say how far a job is, or where its file lies, as the Climate Data Store does."""
        number = int(path.split("/jobs/")[1].split("/")[0])
        is_result = path.endswith("/results")
        with self.archive.lock:
            fault = self._fault("results" if is_result else "poll")
            is_known = number < len(self.archive.jobs) and number not in self.archive.forgotten
            states = self.archive.of_job[number] if is_known else [""]
            state, _, reason = states[0].partition(":")
            if len(states) > 1 and not is_result:
                states.pop(0)
        if fault == "gone":
            self.close_connection = True
        elif fault:
            self._json({"title": "refused"}, status=int(fault))
        elif not is_known:
            self._json({"title": "job not found"}, status=404)
        elif not is_result:
            itself = f"{self.archive.url}/cds/retrieve/v1/jobs/{number}"
            links = [{"rel": "self", "href": itself}]
            self._json({"jobID": str(number), "status": state, "links": links})
        elif state != "successful":
            told = {"title": f"The job has been {state}", "traceback": reason}
            self._json(told, status=400)
        else:
            name = f"result_{number}.nc"
            content = self.archive.files.setdefault(name, b"CDF fields " * (number + 10))
            asset = {
                "href": self.archive.elsewhere or f"{self.archive.url}/data/{name}",
                "file:size": len(content),
                "type": "nc",
            }
            self._json({"asset": {"value": asset}})

    def _search(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        fault = self._fault("search")
        if fault:
            self._send(int(fault), b"busy")
            return
        size = min(int(query.get("page_size", ["2000"])[0]), self.archive.page_size)
        after = int(self.headers.get("cmr-search-after", "0"))
        asked = (query.get("short_name") or query.get("short_name[]") or [""])[0]
        hits = [one for one in self.archive.granules if one["short_name"] in ("", asked)]
        items = hits[after : after + size]
        more = {"cmr-search-after": str(after + len(items))} if items else {}
        self._json({"hits": len(hits), "items": items}, headers=more)

    def _fault(self, name: str) -> str:
        left = self.archive.faults.get(name, [])
        return left.pop(0) if left else ""

    def _file(self, name: str) -> None:
        with self.archive.lock:
            fault = self._fault(name)
        content = self.archive.files.get(name)
        if fault in ("401", "403", "500"):  # also of what is not there
            self._send(int(fault), b"refused")
        elif content is None or fault == "404":
            self._send(404, b"no such file")
        elif fault in ("429", "503"):
            self._send(int(fault), b"busy", {"Retry-After": "0"})
        elif fault == "html":
            self._send(200, PAGE, {"Content-Type": "application/octet-stream"})
        elif fault == "login":
            port = self.archive.url.rpartition(":")[2]
            self._send(302, b"", {"Location": f"http://localhost:{port}/oauth"})
        elif fault == "empty":
            self._send(200, b"")
        elif fault == "wrong":
            self._send(200, bytes(reversed(content)))
        elif fault == "longer":
            self._send(200, content + b"more than was stated")
        else:
            self._part(content, fault)

    def _part(self, content: bytes, fault: str) -> None:
        """Serve a whole file or the rest of it, perhaps too slowly or not to the end."""
        hit = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(hit[1]) if hit else 0
        stop = min(int(hit[2]) + 1, len(content)) if hit and hit[2] else len(content)
        if start >= len(content):
            self._send(416, b"")
            return
        told = 0 if fault == "nowhere" else start
        self.send_response(206 if hit else 200)
        if hit:
            self.send_header("Content-Range", f"bytes {told}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')  # noqa: S324
        self.end_headers()
        if self.command == "HEAD":
            return
        body = content[told:][: stop - start]
        if fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault == "slow":
            self._drip(body)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        try:
            for place in range(0, len(body), max(1, len(body) // 50)):
                self.wfile.write(body[place : place + max(1, len(body) // 50)])
                self.wfile.flush()
                time.sleep(0.02)
        except OSError:
            self.close_connection = True  # the other side has given up

    def _json(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        kind = {"Content-Type": "application/json", **(headers or {})}
        self._send(status, json.dumps(content).encode(), kind)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Quiet(ThreadingHTTPServer):
    """Say nothing where the other side has gone: that is what is tried here."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a connection that broke."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def archive(kind: type[Handler] = Handler, **more: Any) -> Iterator[Archive]:
    """Serve an archive on a free port of this machine for as long as it is used."""
    served = Archive()
    handler = type("Bound", (kind,), {"archive": served, **more})
    server = Quiet(("127.0.0.1", 0), handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
