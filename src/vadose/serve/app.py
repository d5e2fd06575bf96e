"""The application: addresses, what they take and what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as Part
from fastapi.responses import JSONResponse

from vadose import __version__
from vadose.errors import VadoseError
from vadose.serve import outlines as lines
from vadose.serve.answers import Series, Value
from vadose.serve.catalogue import Catalogue, Layer
from vadose.serve.describe import Legend, MapInfo, describe, legend_of
from vadose.serve.guard import Guard, Limits
from vadose.serve.pages import Page, pages
from vadose.serve.points import series_at, value_at
from vadose.serve.service import Service
from vadose.serve.studies import NothingToShow
from vadose.serve.tiles import DEEPEST, MEDIA, Format

#: Parts of addresses. Names are looked up in tables; their form is checked all the same.
Name = Annotated[str, Part(pattern=r"^[a-z0-9-]{1,80}$", description="Name of a layer.")]
Time = Annotated[
    str, Part(pattern=r"^(static|\d{4,6}-\d\d-\d\d(T\d\d:\d\d)?)$", description="Label of a time.")
]
Zoom = Annotated[int, Part(ge=0, le=DEEPEST)]
Place = Annotated[int, Part(ge=0, lt=2**DEEPEST)]
Longitude = Annotated[float, Query(ge=-540, le=540, allow_inf_nan=False)]
Latitude = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False)]
LayerAsked = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,80}$")]
TimeAsked = Annotated[str, Query(pattern=r"^(static|\d{4,6}-\d\d-\d\d(T\d\d:\d\d)?)$")]

_DETAIL: dict[str, Any] = {
    "content": {"application/json": {"schema": {"type": "object", "required": ["detail"]}}}
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such run, layer, time or file.", **_DETAIL},
    429: {"description": "Too many requests.", **_DETAIL},
    503: {"description": "The run has nothing to show yet, or is damaged.", **_DETAIL},
}


class NotListed(LookupError):
    """Report a name that is in no table of the map."""


def create_app(
    run: Path, *, outlines: lines.Reader | None = None, limits: Limits | None = None
) -> Guard:
    """Make the application that shows a run, or a folder of `vadose fuse`, in a browser.

    Parameters
    ----------
    run
        The folder; it need not be there yet, or may be half-written: the page says so.
    outlines
        Gives coasts and borders by the name of a layer; without it there are none.
    limits
        How much is answered.

    Returns
    -------
    Guard
        An ASGI application; the FastAPI one is its `app`.

    Examples
    --------
    >>> create_app(Path("nowhere")).app.title
    'vadose map'
    """
    limits = limits or Limits()
    service = Service(run, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="vadose map",
        version=__version__,
        description="Layers of a run as tiles, values and series. It only reads.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    _add_page(app)
    _add_outlines(app, outlines)
    _add_map(app, service)
    _add_points(app, service)
    app.add_exception_handler(NothingToShow, _nothing)
    app.add_exception_handler(VadoseError, _trouble)
    app.add_exception_handler(NotListed, _unknown)
    return Guard(app, limits)


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        return _sent(pages()["index.html"], request)

    @app.get("/static/{name:path}", include_in_schema=False)
    def file(name: str, request: Request) -> Response:
        found = pages().get(name)
        if found is None:
            raise NotListed("no such file")
        return _sent(found, request)


def _sent(page: Page, request: Request) -> Response:
    headers = {"etag": page.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == page.tag:
        return Response(status_code=304, headers=headers)
    return Response(page.content, media_type=page.kind, headers=headers)


def _add_outlines(app: FastAPI, reader: lines.Reader | None) -> None:
    @cache
    def written(name: str) -> bytes:
        return lines.as_geojson(reader(name) if reader is not None else [])

    @app.get("/api/outlines/{name}", summary="Coasts and borders as GeoJSON")
    def outlines(name: Literal["coast_110m", "coast_50m", "borders_50m"]) -> Response:
        headers = {"cache-control": "private, max-age=3600"}
        return Response(written(name), media_type="application/geo+json", headers=headers)


def _add_map(app: FastAPI, service: Service) -> None:
    @app.get("/api/map", summary="All layers and times", responses=PROBLEMS)
    async def info(response: Response) -> MapInfo:
        response.headers["cache-control"] = "no-store"
        return describe(await service.catalogue())

    @app.get("/api/layers/{layer}/legend", summary="Colours of a layer", responses=PROBLEMS)
    async def legend(layer: Name) -> Legend:
        found = _listed(await service.catalogue(), layer)
        return await service.read(lambda: legend_of(found))

    @app.get(
        "/api/tiles/{layer}/{time}/{z}/{x}/{y}.{form}",
        summary="One tile of the Mercator map",
        response_class=Response,
        responses={
            **PROBLEMS,
            200: {"content": {kind: {} for kind in MEDIA.values()}, "description": "The tile."},
        },
    )
    async def tile(
        layer: Name, time: Time, z: Zoom, x: Place, y: Place, form: Format, request: Request
    ) -> Response:
        catalogue = await service.catalogue()
        found = _listed(catalogue, layer)
        if time not in catalogue.times:
            raise NotListed(f"no time {time!r}; /api/map lists them")
        if max(x, y) >= 2**z:
            raise NotListed(f"no tile {x}, {y} at level {z}")
        content = await service.tile(catalogue, found, time, (z, x, y), form)
        # kept by the browser only under an address that names the version of the run
        is_named = request.query_params.get("v") == catalogue.version
        headers = {"cache-control": "private, max-age=3600, immutable" if is_named else "no-store"}
        return Response(content, media_type=MEDIA[form], headers=headers)


def _add_points(app: FastAPI, service: Service) -> None:
    @app.get("/api/stations", summary="Stations as GeoJSON points", responses=PROBLEMS)
    async def stations() -> dict[str, Any]:
        await service.catalogue()
        known = service.stations
        if known is None:
            return {"type": "FeatureCollection", "features": []}
        return await service.read(known.as_geojson)

    @app.get("/api/value", summary="Value of a layer at a place", responses=PROBLEMS)
    async def value(lon: Longitude, lat: Latitude, layer: LayerAsked, time: TimeAsked) -> Value:
        catalogue = await service.catalogue()
        found = _listed(catalogue, layer)
        if time not in catalogue.times:
            raise NotListed(f"no time {time!r}; /api/map lists them")
        return await service.read(lambda: value_at(catalogue, found, time, lon, lat))

    @app.get("/api/series", summary="Series at a place", responses=PROBLEMS)
    async def series(
        lon: Longitude,
        lat: Latitude,
        within: Annotated[float, Query(ge=0, le=500, description="Of a station, km.")] = 25.0,
        layer: LayerAsked = "fine",
    ) -> Series:
        catalogue = await service.catalogue()
        known, also = service.stations, catalogue.layers.get(layer)
        if layer != "fine" and also is None:
            _listed(catalogue, layer)
        return await service.read(lambda: series_at(catalogue, known, lon, lat, within, also))


def _listed(catalogue: Catalogue, name: str) -> Layer:
    if name not in catalogue.layers:
        raise NotListed(f"no layer {name!r}; one of {', '.join(catalogue.layers)}")
    return catalogue.layers[name]


def _nothing(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, NothingToShow)  # noqa: S101 - registered for it alone
    headers = {"cache-control": "no-store"}
    if problem.status == 503:
        headers["retry-after"] = "5"
    content = {"detail": str(problem), "state": problem.state}
    return JSONResponse(content, problem.status, headers)


def _trouble(_: Request, problem: Exception) -> Response:
    content = {"detail": str(problem), "state": "damaged"}
    return JSONResponse(content, 503, {"cache-control": "no-store", "retry-after": "5"})


def _unknown(_: Request, problem: Exception) -> Response:
    return JSONResponse({"detail": str(problem)}, 404, {"cache-control": "no-store"})
