"""Building the container image here, with buildah and no daemon: its base by debootstrap, its packages by pip, then the Dockerfile as it stands.

All of it stays in one folder, with a storage of its own. Lives here: what makes the image, and what it says of itself. Must not live here: running
it (`prove`).
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollback_daemon.lab.servers import LabError

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
NAME = "rollbackd"
PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap", "unshare": "util-linux", "nsenter": "util-linux"}  # and the packages that have them
_BASE = "debian:bookworm-slim"  # as the Dockerfile names it
_SUITE = "bookworm"
_PYTHON = "3.11"  # of that suite


@dataclass(frozen=True, slots=True)
class Image:
    """What the image says of itself."""

    user: str
    environment: dict[str, str]
    entrypoint: list[str]
    command: list[str]
    folder: str
    health: list[str]


class Builder:
    """Everything that buildah keeps is below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def build(self) -> Image:
        """Make the image, and its base and packages where they are not here yet. Raises LabError."""
        if not self._has(_BASE):
            self._make_base()
        secret = self._folder / "pip.conf"
        secret.write_text("[install]\nno-index = true\nfind-links = /wheels\n")
        wheels = self._wheels()
        mounts = ["--volume", f"{wheels}:/wheels:ro", "--secret", f"id=pip,src={secret}"]
        command = ["build", "--format", "docker", "--isolation", "chroot", "--pull-never", *mounts, "--file", str(HERE / "Dockerfile"), "--tag", NAME]
        self._buildah(*command, str(TREE))
        return self._described()

    def mounted(self) -> tuple[str, Path]:
        """A container of the image: its name, and the folder where its files are until `removed`."""
        name = self._buildah("from", "--pull-never", NAME).strip()
        return name, Path(self._buildah("mount", name).strip())

    def removed(self, name: str) -> None:
        """The container is gone."""
        self._buildah("umount", name)
        self._buildah("rm", name)

    def _described(self) -> Image:
        found: dict[str, Any] = json.loads(self._buildah("inspect", "--type", "image", NAME))["Docker"]["config"]
        environment = dict(one.split("=", 1) for one in found["Env"])
        return Image(found["User"], environment, found["Entrypoint"], found["Cmd"], found["WorkingDir"], found["Healthcheck"]["Test"])

    def _has(self, image: str) -> bool:
        return bool(self._buildah("images", "--quiet", "--filter", f"reference={image}").strip())

    def _make_base(self) -> None:
        """What the distribution's image is, made from its packages."""
        root = self._folder / "base"
        shutil.rmtree(root, ignore_errors=True)
        _run(["debootstrap", "--variant=minbase", _SUITE, str(root)])
        for kept in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / kept, ignore_errors=True)  # the slim image has none of it
            (root / kept).mkdir(parents=True)
        name = self._buildah("from", "scratch").strip()
        self._buildah("add", "--quiet", name, str(root), "/")
        self._buildah("config", "--cmd", "bash", name)
        self._buildah("commit", "--quiet", "--rm", name, _BASE)
        shutil.rmtree(root)

    def _wheels(self) -> Path:
        """The files of constraints.txt, for the Python of the image."""
        wheels = self._folder / "wheels"
        machine = platform.machine()
        platforms = [word for one in ("manylinux_2_28", "manylinux_2_17", "manylinux2014") for word in ("--platform", f"{one}_{machine}")]
        target = ["--python-version", _PYTHON, *platforms, "--only-binary", ":all:", "--no-deps"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(wheels), *target]
        _run([*command, "--requirement", str(HERE / "constraints.txt")])
        return wheels

    def _buildah(self, *words: str) -> str:
        places = ["--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run"), "--storage-driver", "vfs"]
        return _run(["buildah", *places, *words])


def _run(command: list[str]) -> str:
    """What it prints. Raises LabError with its complaint."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "BUILDAH_ISOLATION": "chroot"})
    if done.returncode != 0:
        raise LabError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout
