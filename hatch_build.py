"""Build hook of the wheel: the configurations go into the package, and the commit that it was built from.

An editable installation needs neither: there the package lies in its checkout. A source archive carries the stamp, for
a wheel built from it has no repository to ask.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STAMP = "symbolic/commit.txt"  # read by symbolic.machine.commit


class PackageData(BuildHookInterface):
    """Adds `symbolic/configs/` and the stamp `symbolic/commit.txt`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to add, by their place in the archive."""
        if version == "editable":
            return
        root = Path(self.root)
        if self.target_name == "wheel":
            build_data["force_include"][str(root / "configs")] = "symbolic/configs"
        if not (root / STAMP).exists() and (commit := commit_of(root)):
            self.stamp = Path(tempfile.mkdtemp()) / "commit.txt"
            self.stamp.write_text(commit + "\n", encoding="ascii")
            build_data["force_include"][str(self.stamp)] = STAMP

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the stamp's temporary file."""
        stamp = getattr(self, "stamp", None)
        if stamp is not None:
            stamp.unlink()
            stamp.parent.rmdir()


def commit_of(root: Path) -> str:
    """The commit of the checkout at `root`, with `+` where tracked files differ; '' where it is none of its own."""
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
