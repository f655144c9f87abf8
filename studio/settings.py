"""What a studio is run with: where it keeps things, whom it answers, how much it takes on.

DATA/studio.sqlite      jobs, events, takes (rebuilt from the folders when it is lost)
DATA/takes/ID/          the files of one take, and take.json
DATA/uploads/           music that was sent in and is not read yet
DATA/cache/             note samples, index of training tunes
"""

import ipaddress
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from symbolic.errors import UsageError

PORT = 8017
DATA = Path("studio-data")
LANES = ("short", "long")
MAX_QUEUED = {"short": 200, "long": 60}
MAX_QUEUED_OF_CLIENT = {"short": 16, "long": 4}
REQUESTS_PER_SECOND, BURST = 30, 90  # of one client
FREE_BYTES = 1 << 30  # below that much free disk nothing new is taken on


@dataclass(frozen=True)
class Settings:
    """`queue` is '' for SQLite in `data`, else a redis:// address; `token` is '' where none is asked for."""

    data: Path = DATA
    host: str = "127.0.0.1"
    port: int = PORT
    token: str = ""
    queue: str = ""
    models: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    quota_bytes: int = 5 << 30
    free_bytes: int = FREE_BYTES
    max_queued: dict[str, int] = field(default_factory=lambda: dict(MAX_QUEUED))
    max_queued_of_client: dict[str, int] = field(default_factory=lambda: dict(MAX_QUEUED_OF_CLIENT))
    requests_per_second: float = REQUESTS_PER_SECOND

    @property
    def database(self) -> Path:
        """Jobs and takes."""
        return self.data / "studio.sqlite"

    @property
    def cache(self) -> Path:
        """What can be made again."""
        return self.data / "cache"

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        return is_loopback(self.host)

    def make_folders(self) -> None:
        """Create the folders; UsageError where they cannot be made."""
        try:
            for name in ("takes", "uploads", "cache"):
                (self.data / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--data {self.data}: {error.strerror or error}. Choose another folder.") from error

    def disk_fault(self) -> str:
        """Why nothing more can be kept on the disk, '' where it can."""
        free = shutil.disk_usage(self.data).free
        if free < self.free_bytes:
            return f"Only {free / 2**30:.1f} GiB of disk are free. Empty the trash of the library, or free some space."
        return ""


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address, not as a name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
