"""A server on this machine that answers as `archive_server` does, and as NASA's Harmony.

It imitates capabilities, the submission of jobs, how far they are, and links to results, which lead on to
where results lie. Faults are those of the other server, under the names ``capabilities``, ``submit``,
``status`` and ``go_on``, and those of files under the names of results.
"""

from __future__ import annotations

import email
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from archive_server import Archive, Handler, archive

#: West, south, east, north, and the names of the variables that are to be kept; all where there are none.
Cutting = Callable[[bytes, tuple[float, float, float, float], list[str]], bytes]


#: Where a granule states the name of its file.
STATED = "ArchiveAndDistributionInformation"


@dataclass
class Cutter:
    """What Harmony can, what it was asked for, and how it will behave.

    Attributes
    ----------
    cut
        Cuts the bytes of a granule.
    abilities
        Answers to the question what can be done, by collection.
    states
        States that the next jobs go through, the last of which stays.
    failing
        Names of granules that cannot be cut.
    names
        Names of results in place of the usual ones, by granule; they may lead anywhere.
    links
        Whole addresses of results in place of ours, by granule.
    jobs, forms
        What was asked for: number, state and granules; and the fields of the forms as they came.
    made
        Which job a result is of.
    """

    cut: Cutting
    abilities: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: list[list[str]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    page_size: int = 2000
    expires: str = "2999-01-01T00:00:00.000Z"

    def can_cut(self, collection: str = "C1-TEST", *, variables: tuple[str, ...] = ()) -> None:
        """Let a collection be cut to a box, and variables be picked where some are named."""
        self.abilities[collection] = {
            "conceptId": collection,
            "bboxSubset": True,
            "variableSubset": bool(variables),
            "variables": [{"name": name, "href": "https://cmr"} for name in variables],
            "capabilitiesVersion": "2",
        }


class HarmonyHandler(Handler):
    """Answer one request to any of the archives, or to Harmony."""

    harmony: Cutter

    def do_GET(self) -> None:  # noqa: N802
        """Answer Harmony's questions here, others elsewhere."""
        path = urlsplit(self.path).path
        if not path.startswith("/harmony/"):
            super().do_GET()
            return
        with self.archive.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.archive.asked.append((self.command, path, headers))
        where = path.removeprefix("/harmony/")
        if where == "capabilities":
            self._capabilities()
        elif where.startswith("service-results/"):
            place = self.headers.get("Host", "")
            self._send(307, b"", {"Location": f"http://{place}/data/{where.rpartition('/')[2]}"})
        elif hit := re.fullmatch(r"jobs/([0-9a-f-]{36})(/[a-z-]+)?", where):
            self._state(hit[1], hit[2] or "")
        else:
            self._send(404, b"no such page")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:  # noqa: N802
        """Take a job."""
        if not self.path.startswith("/harmony/"):
            super().do_POST()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "").encode()
        form: dict[str, list[str]] = {}
        message = email.message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + body)
        for one in message.get_payload():
            name = str(one.get_param("name", header="content-disposition"))
            form.setdefault(name, []).append(one.get_payload(decode=True).decode())
        with self.archive.lock:
            self.archive.asked.append(("POST", self.path, dict(self.headers.items())))
            fault = self._fault("submit")
        if fault == "login":
            self._send(302, b"", {"Location": "https://urs.earthdata.nasa.gov/oauth/authorize"})
        elif fault:
            self._send(int(fault), b"busy", {"Retry-After": "0"})
        else:
            self._submit(form)

    def _submit(self, form: dict[str, list[str]]) -> None:
        with self.archive.lock:
            number = str(uuid.UUID(int=len(self.harmony.forms) + 1, version=4))
            self.harmony.forms.append(form)
            states = self.harmony.states.pop(0) if self.harmony.states else ["successful"]
            granules = form["granuleId"][0].split(",")
            self.harmony.jobs[number] = {"states": states, "granules": granules, "form": form}
        self._send(303, b"", {"Location": f"{self.archive.url}/harmony/jobs/{number}"})

    def _capabilities(self) -> None:
        fault = self._fault("capabilities")
        if fault:
            self._send(int(fault), b"busy", {"Retry-After": "0"})
            return
        asked = parse_qs(urlsplit(self.path).query)["collectionId"][0]
        told = self.harmony.abilities.get(asked)
        self._json(told or {"code": "harmony.NotFoundError"}, status=200 if told else 404)

    def _state(self, number: str, verb: str) -> None:
        with self.archive.lock:
            fault = self._fault("go_on" if verb else "status")
            job = self.harmony.jobs.get(number)
        if fault or job is None:
            self._json({"code": "harmony"}, status=int(fault or 404), headers={"Retry-After": "0"})
            return
        if verb:
            if len(job["states"]) > 1:
                job["states"].pop(0)
            self._send(302, b"", {"Location": f"{self.archive.url}/harmony/jobs/{number}"})
            return
        state = job["states"][0]
        if len(job["states"]) > 1 and state not in ("paused", "previewing"):
            job["states"].pop(0)
        self._json(self._told(number, job, state))

    def _told(self, number: str, job: dict[str, Any], state: str) -> dict[str, Any]:
        """Say how far a job is: half of its results while it runs, all but the failing ones after that."""
        by_id = {
            one["meta"]["concept-id"]: one["umm"]["DataGranule"][STATED][0]["Name"]
            for one in self.archive.granules
        }
        names = [by_id[granule] for granule in job["granules"]]
        count = {"running": len(names) // 2, "successful": len(names)}.get(state, 0)
        count = len(names) if state == "complete_with_errors" else count
        rows = [
            {"rel": "data", "href": self._result(number, name, job["form"]), "title": name}
            for name in names[:count]
            if name not in self.harmony.failing
        ]
        page = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
        size = self.harmony.page_size
        more = (
            [{"rel": "next", "href": "https://example.org/evil"}] if page * size < len(rows) else []
        )
        itself = {"rel": "self", "href": f"{self.archive.url}/harmony/jobs/{number}"}
        return {
            "jobID": number,
            "status": state,
            "progress": 100 * count // max(len(names), 1),
            "message": f"The job is {state}",
            "dataExpiration": self.harmony.expires,
            "links": [itself, *rows[(page - 1) * size : page * size], *more],
        }

    def _result(self, number: str, name: str, form: dict[str, list[str]]) -> str:
        """Cut a granule, and say where it lies."""
        if name in self.harmony.links:
            return self.harmony.links[name]
        kept = self.harmony.names.get(name, f"{name.rpartition('.')[0]}_subsetted.nc4")
        if self.harmony.made.get(kept) != number:
            self.harmony.made[kept] = number
            numbers = [float(one) for one in re.findall(r"[-\d.]+", " ".join(form["subset"]))]
            south, north, west, east = numbers
            picked = [one for one in form["variable"][0].split(",") if one != "all"]
            whole = self.archive.files[name]
            self.archive.files[kept] = self.harmony.cut(whole, (west, south, east, north), picked)
        place = f"service-results/staging/public/{number}/1/{kept}"
        return f"{self.archive.url}/harmony/{place}"


@contextmanager
def harmony_archive(cut: Cutting) -> Iterator[tuple[Archive, Cutter]]:
    """Serve an archive that cuts, on a free port of this machine."""
    cutter = Cutter(cut)
    with archive(HarmonyHandler, harmony=cutter) as served:
        yield served, cutter
