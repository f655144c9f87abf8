"""Serve the studio: the web page and the REST API.

    python -m studio serve                                  # http://127.0.0.1:8017/
    python -m studio serve --open                           # and opens it in the browser (make studio)
    python -m studio serve --port 9000 --data ~/music/studio
    python -m studio serve --host 0.0.0.0                   # for others: prints the address with its token

It answers on this machine only, unless --host says otherwise; then everybody needs the token that is printed (or that
of the environment variable STUDIO_TOKEN). For TLS put a reverse proxy before it and name it with --allow-host. Two
worker processes do the work (--workers 0: none, start `python -m studio work` yourself). Everything made is kept in
the folder of --data, one folder a take; the page never asks anything of the network.
"""

import argparse
import os
import secrets
import socket
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.settings import DATA, PORT, Settings, is_loopback
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from studio.server.application import Extension

GRACE_SECONDS = 2  # that open requests get at the end
RESTART_SECONDS = 1.0
BACKLOG = 2048  # connections that wait, as uvicorn's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address to answer on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help="default %(default)s")
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="FOLDER", help="where takes are kept (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="worker processes (default: %(default)s)")
    parser.add_argument(
        "--queue", default="", metavar="URL", help="redis://HOST:PORT/DB, for workers on other machines"
    )
    parser.add_argument("--models", nargs="+", default=[], metavar="RUN", help="further models that may be asked for")
    parser.add_argument("--allow-host", nargs="+", default=[], metavar="NAME", help="names of a reverse proxy")
    parser.add_argument("--surveys", type=Path, metavar="FOLDER", help="surveys that raters answer under /surveys/NAME")
    parser.add_argument(
        "--allow-origin", nargs="+", default=[], metavar="URL", help="hosts of a survey's static pages (https://...)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    parser.add_argument("--quota", type=float, default=5.0, metavar="GIB", help="of the library (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    settings = _settings(args)
    listener = _bind(settings)  # first: who comes while the rest is imported waits for the answer
    try:
        import uvicorn

        from studio.server import application
    except ImportError as error:
        raise UserError("the studio is not installed: pip install 'abc-symbolic[studio]'") from error
    _tell(settings)
    if args.open and settings.is_local and not settings.token and _has_screen():
        webbrowser.open(_url(settings))
    with Workers(settings, args.workers):
        app = application.build(settings, _extensions(args))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, server_header=False,
            proxy_headers=False,
        )  # fmt: skip
        _server_of(app, config).run(sockets=[listener])
    return 0


def _extensions(args: argparse.Namespace) -> "list[Extension]":
    """The surveys, where a folder of them is given."""
    if args.surveys is None:
        return []
    from studio.survey import survey_routes

    if not args.surveys.is_dir():
        raise UsageError(f"--surveys {args.surveys}: no such folder. Make a survey first: python -m studio survey make")
    return [survey_routes.extension(args.surveys)]


def _settings(args: argparse.Namespace) -> Settings:
    if not 0 < args.port < 65536:
        raise UsageError(f"--port {args.port}: choose 1 to 65535.")
    token = os.environ.get("STUDIO_TOKEN", "")
    if not is_loopback(args.host) and not token:
        token = secrets.token_urlsafe(32)
    return Settings(
        data=args.data.expanduser().absolute(), host=args.host, port=args.port, token=token, queue=args.queue,
        models=tuple(args.models), allowed_hosts=tuple(args.allow_host), allowed_origins=tuple(args.allow_origin),
        quota_bytes=int(args.quota * 2**30),
    )  # fmt: skip


def _bind(settings: Settings) -> socket.socket:
    """A socket of our own, so that an address in use is one line, not a trace."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host.strip("[]"), settings.port))
        listener.listen(BACKLOG)  # who comes before the pages are ready waits for them
    except OSError as error:
        text = f"cannot answer on {settings.host}:{settings.port}: {error.strerror}. Choose another --port."
        raise UserError(text) from error
    return listener


def _tell(settings: Settings) -> None:
    print(f"The studio is at {_url(settings)}  (takes in {settings.data})", flush=True)


def _url(settings: Settings) -> str:
    """The address that a browser opens, with the token."""
    host = _outward_address(settings.host) if settings.host in ("0.0.0.0", "::") else settings.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}/" + (f"?token={settings.token}" if settings.token else "")


def _has_screen() -> bool:
    """Whether a browser can show itself; without, one in the terminal would be started."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _outward_address(anywhere: str) -> str:
    """This machine's address on its network, by the routes alone: nothing is sent. `anywhere` where there is none."""
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if ":" in anywhere else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))  # of the ranges for documentation
            return str(probe.getsockname()[0])
    except OSError:
        return anywhere


def _server_of(app: "FastAPI", config: Any) -> Any:
    """uvicorn's server, which ends open event streams as soon as it is asked to end."""
    import uvicorn

    class EndingServer(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.state.studio.is_ending = True
            super().handle_exit(sig, frame)

    return EndingServer(config)


class Workers:
    """The supervisor of the workers as a child process, started again when it dies."""

    def __init__(self, settings: Settings, n_workers: int) -> None:
        self.settings, self.n_workers = settings, n_workers
        self.ending = threading.Event()
        self.child: subprocess.Popen[bytes] | None = None
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Workers":
        if self.n_workers > 0:
            self.settings.make_folders()
            self.child = self._start()
            self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        if self.child is not None:
            self.thread.join(2 * RESTART_SECONDS)
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()

    def _start(self) -> "subprocess.Popen[bytes]":
        from symbolic import subprocess_limits

        words = ["work", "--data", str(self.settings.data), "--workers", str(self.n_workers), "--with-parent"]
        words += ["--queue", self.settings.queue] if self.settings.queue else []
        words += ["--models", *self.settings.models] if self.settings.models else []
        environment = subprocess_limits.environment() | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "studio", *words]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _watch(self) -> None:
        while not self.ending.wait(RESTART_SECONDS):
            if self.child is not None and self.child.poll() is not None:
                self.child = self._start()
