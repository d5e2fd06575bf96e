"""Download one file: resumed where it stopped, patient with a busy server, verified before anyone sees it."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vadose.products.fetching.base import (
    LARGEST,
    Absent,
    FetchProblem,
    LoginProblem,
    Offer,
    Policy,
    Refused,
    hashed,
)
from vadose.products.fetching.gate import ALL, Gate
from vadose.products.fetching.guard import guard
from vadose.products.fetching.reach import attempts_of, is_unreached, unreached
from vadose.products.fetching.servers import Servers

if TYPE_CHECKING:
    import requests

#: Bytes that are asked of a connection at once.
CHUNK = 1 << 18
#: Attempts at a file that brings a little each time, for each that may bring nothing.
MANY = 20
#: Answers after which a server may be asked again.
BUSY = {408, 425, 429, 500, 502, 503, 504}


class Sessions:
    """Keep one session for each thread, as sessions are not made to be shared, and close them all.

    Parameters
    ----------
    make
        Makes a session.
    """

    def __init__(self, make: Callable[[], requests.Session]) -> None:
        self._make = make
        self._local = threading.local()
        self._all: list[requests.Session] = []
        self._lock = threading.Lock()

    def __call__(self) -> requests.Session:
        """Give the session of this thread."""
        if not hasattr(self._local, "session"):
            self._local.session = self._make()
            with self._lock:
                self._all.append(self._local.session)
        session: requests.Session = self._local.session
        return session

    def close(self) -> None:
        """Close the sessions of all threads."""
        while self._all:
            self._all.pop().close()


def open_session(servers: Servers) -> requests.Session:
    """Make a session without credentials, also without those of a ``.netrc``; proxies are those of the system."""
    import requests

    class Open(requests.Session):
        def rebuild_auth(self, prepared: requests.PreparedRequest, response: object) -> None:
            prepared.headers.pop("Authorization", None)

    session = Open()
    session.auth = _no_credentials
    return guard(session, servers, {})


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand where requests would otherwise look into a ``.netrc``."""
    return request


@dataclass
class _Again(Exception):
    """Ask for a file once more."""

    why: str
    wait: float | None = None
    is_busy: bool = False
    is_unreached: bool = False


def transfer(
    session: Callable[[], requests.Session],
    offer: Offer,
    part: Path,
    *,
    policy: Policy,
    gate: Gate,
    check_url: Callable[[str], None],
    needs_login: bool = True,
) -> int:
    """Download a file under its working name, and verify it.

    Parameters
    ----------
    session
        Gives the session of this thread, with the archive's credentials.
    offer
        What is to be downloaded.
    part
        Working name; what is in it already is not asked for again.
    policy
        How patient to be.
    gate
        Of the archive.
    check_url
        Refuses addresses that are not the archive's.
    needs_login
        Whether a 403 is of a login, after which others would be refused too; of public files it is one of
        that file.

    Returns
    -------
    int
        Attempts beyond the first.

    Raises
    ------
    FetchProblem
        After the last attempt, or at once where another would fail alike.
    """
    check_url(offer.url)
    part.parent.mkdir(parents=True, exist_ok=True)
    attempt, failed, why = 0, 0, ""
    while failed < policy.attempts and attempt < MANY * policy.attempts:
        gate.wait(offer.product)
        before = _size(part)
        try:
            _attempt(session(), offer, part, policy, needs_login, gate)
            return attempt
        except _Again as again:
            attempt, why = attempt + 1, again.why
            # a connection that breaks again and again gets the file too, as long as it brings some of it
            failed = 1 if _size(part) > before else failed + 1
            if failed >= attempts_of(policy, gate, is_unreached=again.is_unreached):
                if again.is_unreached and not gate.is_reached:
                    problem = unreached(offer.url, again.__cause__ or again)
                    gate.close(problem, ALL)
                    raise problem from again
                break
            # unequal pauses, or all threads would come back at once
            pause = policy.pause * 2 ** (failed - 1) * random.uniform(0.8, 1.2)  # noqa: S311
            pause = min(pause if again.wait is None else again.wait, policy.longest_pause)
            gate.tell(f"{offer.name}: {why}; again in {pause:.0f} s")
            if again.is_busy:
                gate.hold(pause)
            else:
                gate.rest(pause, offer.product)
        except FetchProblem as problem:
            if isinstance(problem, LoginProblem):
                gate.close(problem, offer.product)
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            full = FetchProblem(
                part.parent,
                found="a full disk",
                remedy="Make room, and run the same command again.",
            )
            gate.close(full, ALL)
            raise full from error
    raise FetchProblem(
        offer.name,
        found=f"{why}, {failed} times",
        expected="the whole file",
        remedy="Run the same command again later; what is here is kept.",
    )


class Downloads:
    """Be an archive whose offers are files to be downloaded as they are.

    Where no login is needed (`needs_login`), a 403 says something of one file only.

    Parameters
    ----------
    servers, policy
        Where, and how patiently.
    sessions
        Connections, one for each thread.
    workers
        Downloads at a time.
    """

    needs_login = True

    def __init__(
        self, servers: Servers, policy: Policy, sessions: Sessions, *, workers: int
    ) -> None:
        self.servers, self.policy, self.gate, self.workers = servers, policy, Gate(), workers
        self.refused: list[FetchProblem] = []
        self._sessions = sessions

    def get(self, offer: Offer, part: Path) -> int:
        """Download one file under its working name; gives the attempts beyond the first."""
        return transfer(
            self._sessions,
            offer,
            part,
            policy=self.policy,
            gate=self.gate,
            check_url=self.servers.check_url,
            needs_login=self.needs_login,
        )

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _attempt(
    session: requests.Session,
    offer: Offer,
    part: Path,
    policy: Policy,
    needs_login: bool,
    gate: Gate,
) -> None:
    import requests
    import urllib3

    tag_path = part.with_name(part.name + ".tag")
    done = _size(part)
    if offer.size is not None and done >= offer.size > 0:
        _verify(offer, part, done, None)
        return
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if tag_path.exists():
            headers["If-Range"] = tag_path.read_text(encoding="latin-1")
    try:
        with session.get(offer.url, headers=headers, stream=True, timeout=policy.timeout) as answer:
            gate.is_reached = True
            _check_answer(answer, offer, part, needs_login)
            is_rest = answer.status_code == 206
            if is_rest and not answer.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                part.unlink(missing_ok=True)
                raise _Again("another part of the file than was asked for")
            start = done if is_rest else 0
            length = answer.headers.get("Content-Length", "")
            whole = start + int(length) if length.isdecimal() else None
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            if tag and not tag.startswith("W/"):
                tag_path.write_text(tag, encoding="latin-1")
            _write(answer, part, start, offer, policy, gate, needs_login)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _Again(
            f"a connection that broke ({type(error).__name__})", is_unreached=is_unreached(error)
        ) from error
    _verify(offer, part, part.stat().st_size, whole)
    tag_path.unlink(missing_ok=True)


def _check_answer(answer: requests.Response, offer: Offer, part: Path, needs_login: bool) -> None:
    status = answer.status_code
    asked, got = urlsplit(offer.url), urlsplit(answer.url)
    if asked.scheme == "https" and got.scheme != "https":
        raise FetchProblem(offer.name, found="a redirection to an address without https")
    if status == 403 and not needs_login:
        raise Refused(offer.name, found=f"a public file that was refused (403 from {got.hostname})")
    if status in (401, 407) and not needs_login:
        raise FetchProblem(
            offer.name,
            found=f"a login that is asked for ({status} from {got.hostname})",
            expected="a public file",
            remedy="Where a proxy stands between, give it its password; else the archive has changed.",
        )
    if status in (401, 403, 407):
        raise LoginProblem(
            offer.name,
            found=f"a login that was refused ({status} from {got.hostname})",
            expected="an account that may download it",
            remedy="Renew the account's credentials, and agree to the terms on the collection's page.",
        )
    if status in (404, 410):
        raise Absent(
            offer.name,
            found=f"no such file at the archive ({status})",
            remedy="It was withdrawn or moved; run again with --refresh to search anew.",
        )
    if status == 416:
        part.unlink(missing_ok=True)
        raise _Again("a part of the file that does not fit", wait=0.0)
    if status in BUSY:
        raise _Again(f"a busy server ({status})", retry_after(answer), is_busy=status in (429, 503))
    if status not in (200, 206):
        raise FetchProblem(offer.name, found=f"the answer {status} of {got.hostname}")
    if (
        answer.headers.get("Content-Type", "")
        .lower()
        .startswith(("text/html", "application/xhtml"))
    ):
        raise _web_page(offer, got.hostname, needs_login)


def _web_page(offer: Offer, host: str | None, needs_login: bool) -> FetchProblem:
    if not needs_login:  # it says nothing of other files
        return FetchProblem(
            offer.name,
            found=f"a web page of {host}",
            expected="data",
            remedy="The archive has moved the file, or a network that wants a login of its own (as in hotels) "
            "stands between: open the address in a browser, and run the same command again.",
        )
    return LoginProblem(
        offer.name,
        found=f"a web page of {host}",
        expected="data",
        remedy="The login has expired or the terms were not agreed to: look at the collection's page.",
    )


def retry_after(answer: requests.Response) -> float | None:
    """Read how long a server wants to be left alone: seconds, or a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time()) if text else None
    except (ValueError, TypeError):
        return None


def _write(
    answer: requests.Response,
    part: Path,
    start: int,
    offer: Offer,
    policy: Policy,
    gate: Gate,
    needs_login: bool,
) -> None:
    """Write what comes, and give up where it comes too slowly or does not end."""
    limit = offer.size if offer.size is not None else LARGEST
    total, mark, mark_time = start, start, time.monotonic()
    with part.open("ab" if start else "wb") as stream:
        # what has come is given even where the connection then breaks, other than by iter_content
        while chunk := answer.raw.read1(CHUNK, decode_content=False):
            if total == 0 and chunk.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
                raise _web_page(offer, urlsplit(answer.url).hostname, needs_login)
            total += len(chunk)
            if total > limit:
                stream.truncate(0)
                raise _Again(f"more than the {limit:,} bytes that the archive states")
            stream.write(chunk)
            if gate.is_stopped:
                raise FetchProblem(offer.name, found="a stop")
            spent = time.monotonic() - mark_time
            if spent > policy.patience:
                if (total - mark) / spent < policy.slowest:
                    raise _Again(f"{(total - mark) / spent:.0f} bytes a second")
                mark, mark_time = total, time.monotonic()


def _verify(offer: Offer, part: Path, size: int, whole: int | None) -> None:
    """Insist on the stated size and checksum; what is short is gone on with, what is wrong begins anew."""
    stated = offer.size if offer.size is not None else whole
    if size == 0:
        raise _Again("an empty answer")
    if stated is not None and size < stated:
        raise _Again(f"{size:,} of {stated:,} bytes")
    if stated is not None and size > stated:
        part.unlink()
        raise _Again(f"{size:,} bytes in place of {stated:,}")
    if offer.checksum and hashed(part, offer.algorithm) != offer.checksum:
        part.unlink()
        raise _Again(f"bytes whose {offer.algorithm} is not the stated one")
