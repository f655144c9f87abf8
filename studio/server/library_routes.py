"""Routes of the library and of what the studio knows: takes, files, zips, models."""

import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, StreamingResponse

from studio.actions import models
from studio.library import take_files
from studio.server.job_routes import Id, Service
from studio.server.problems import RESPONSES, ProblemError, not_found

router = APIRouter(responses=RESPONSES)
MAX_LISTED = 100
CHUNK_BYTES = 1 << 18
FileName = Annotated[str, Path(max_length=40, pattern=r"^[a-z0-9.-]+$")]


class Marks(BaseModel):
    """What a person marks a take with."""

    model_config = ConfigDict(strict=True, extra="forbid")
    starred: bool | None = None
    trashed: bool | None = None


@router.get("/healthz")
def health(studio: Service) -> dict[str, Any]:
    """Say that the studio answers, and how many jobs wait."""
    return {"ok": True, "waiting": studio.queue.waiting()}


@router.get("/api/v1/models")
def list_models(studio: Service) -> dict[str, Any]:
    """List the models that may be asked for, with the terms of their training data."""
    return {"models": models.as_json(studio.models)}


@router.get("/api/v1/genres")
def list_genres() -> dict[str, Any]:
    """List the genres that songs are written in."""
    from audio_bridge.lyrics.genre_styles import DEFAULT_GENRE, styles

    return {"genres": list(styles()), "default": DEFAULT_GENRE}


@router.get("/api/v1/instruments")
def list_instruments() -> dict[str, Any]:
    """List the instruments that tunes are played with."""
    from audio_bridge.render.instruments import PROGRAMS

    return {"instruments": list(PROGRAMS)}


@router.get("/api/v1/works")
def list_takes(
    studio: Service,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**6)] = 0,
    show: Literal["all", "starred", "trash"] = "all",
) -> dict[str, Any]:
    """List takes, newest first."""
    found = studio.takes.newest(limit, offset, trashed=show == "trash", starred=show == "starred")
    return {"takes": [studio.take_json(take) for take in found]}


@router.get("/api/v1/works/{id}")
def get_work(studio: Service, id: Id) -> dict[str, Any]:
    """Get the takes of a work, oldest first."""
    takes = studio.takes.takes_of(id)
    if not takes:
        raise not_found("work")
    return {"id": id, "takes": [studio.take_json(take) for take in takes]}


@router.get("/api/v1/takes/{id}")
def get_take(studio: Service, id: Id) -> dict[str, Any]:
    """Get a take: state, files, provenance."""
    return studio.take_json(studio.take(id))


@router.patch("/api/v1/takes/{id}")
def mark_take(studio: Service, id: Id, body: Marks) -> dict[str, Any]:
    """Star a take, or take it out of the trash."""
    studio.take(id)
    studio.takes.mark(id, starred=body.starred, trashed=body.trashed)
    return studio.take_json(studio.take(id))


@router.delete("/api/v1/takes/{id}", status_code=204)
def delete_take(studio: Service, id: Id) -> Response:
    """Put a take into the trash; delete one that is there."""
    studio.delete(id)
    return Response(status_code=204)


@router.delete("/api/v1/trash")
def empty_trash(studio: Service) -> dict[str, int]:
    """Delete everything in the trash."""
    gone = studio.takes.trash()
    for take in gone:
        studio.delete(take.id)
    return {"deleted": len(gone)}


@router.get("/api/v1/takes/{id}/files/{name}", response_class=FileResponse)
def get_file(studio: Service, id: Id, name: FileName) -> Response:
    """Get one file of a take; Range is honoured."""
    take = studio.take(id)
    path = take_files.find(studio.takes.folder(id), name)
    if path is None:
        raise not_found("file")
    how = "inline" if name.rpartition(".")[2] in take_files.PLAYED else "attachment"
    return FileResponse(
        path,
        media_type=take_files.media_type(name),
        filename=take_files.download_name(take.title, name),
        content_disposition_type=how,
    )


@router.get("/api/v1/takes/{id}/take.zip", response_class=Response)
def get_zip(studio: Service, id: Id) -> Response:
    """Get all files of a take, with take.json and the terms of the training data."""
    record, folder = studio.record(id), studio.takes.folder(id)
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the answer closes it)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in take_files.present(folder):
            is_sound = name.rpartition(".")[2] in take_files.PLAYED  # which takes seconds to make hardly smaller
            archive.write(folder / name, name, zipfile.ZIP_STORED if is_sound else None)
        archive.writestr("TERMS.txt", terms_text(record))
    n_bytes = file.tell()
    name = take_files.download_name(str(record["title"]), "take.zip")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(n_bytes)}
    return StreamingResponse(_chunks(file), headers=headers, media_type="application/zip")


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """An open file from its beginning, CHUNK_BYTES at a time; closed at the end."""
    with file:
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def terms_text(record: dict[str, Any]) -> str:
    """The terms of what the model learnt from, for people."""
    model = record.get("model") or {}
    lines = [f"Made with: {record.get('command', '')}", f"Model: {model.get('name', 'none')}", ""]
    for term in model.get("terms", []):
        lines += [f"{term['name']}: {term['title']}", f"  {term['terms']}", f"  {term['redistribution']}", ""]
    return "\n".join(lines)


@router.get("/samples/{program}-mp3/{note}.mp3", include_in_schema=False)
async def get_sample(
    studio: Service,
    program: Annotated[int, Path(ge=0, le=127)],
    note: Annotated[int, Path(ge=21, le=108)],
) -> Response:
    """One note of an instrument, for playback in the page. Requests that wait for its making hold no thread."""
    from studio.actions import note_samples

    path = note_samples.path_of(studio.settings.cache, program, note)
    if path is not None and not path.is_file():
        async with studio.making_samples:
            if not path.is_file():
                await run_in_threadpool(note_samples.make, path.parent, program)
    if path is None:
        raise ProblemError(404, "There is no sample of that note.")
    return FileResponse(path, media_type="audio/mpeg", headers={"Cache-Control": "private, max-age=86400"})
