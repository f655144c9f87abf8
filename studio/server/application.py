"""The application: routes, guards and problems put together.

Another part of the studio joins by an `Extension`: a router (pages and API routes of its own) and the beginnings of
paths that are open to people without the token, such as the raters of a survey. Of those, `cross_origin` may be called
from pages of the origins that the settings allow.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI

from studio.server import job_routes, library_routes, problems
from studio.server.cross_origin import CrossOrigin
from studio.server.guards import Guards
from studio.server.service import Studio
from studio.settings import Settings

TITLE = "abc-symbolic studio"
VERSION = "1"


@dataclass(frozen=True)
class Extension:
    """Routes that are added to the studio's own; `public` paths need no token; `state` is added to the app's."""

    router: APIRouter
    public: tuple[str, ...] = ()
    cross_origin: tuple[str, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


def build(settings: Settings, extensions: Sequence[Extension] = ()) -> FastAPI:
    """The ASGI application of a studio."""
    from studio.pages import page_routes

    studio = Studio(settings)
    studio.takes.rebuild()
    studio.sweep()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        studio.is_ending = True
        studio.close()

    app = FastAPI(
        title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json", description="Songs and tunes, jobs and takes.",
    )  # fmt: skip
    app.state.studio = studio
    for router in (job_routes.router, library_routes.router, page_routes.router):
        app.include_router(router)
    for extension in extensions:
        app.include_router(extension.router)
        for name, value in extension.state.items():
            setattr(app.state, name, value)
    problems.install(app)
    app.add_middleware(Guards, settings=settings, public=[path for one in extensions for path in one.public])
    if settings.allowed_origins:
        paths = [path for one in extensions for path in one.cross_origin]
        app.add_middleware(CrossOrigin, paths=paths, origins=settings.allowed_origins)
    return app
