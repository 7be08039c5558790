"""The image, run as a container engine would run it, in the words of util-linux: its own user, a read-only root, no capability, process 1 of its own.

Network and processor are shared with the machine. Lives here: shutting in, running something inside, ending. Must not live here: what it has to
prove (`prove`).
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from deploy.container.image import NAME, Image
from rollback_daemon.lab.servers import LabError, Server

_LONGEST_END = 10.0  # seconds from SIGTERM to the end
# $1 the root, $2 configuration, $3 journal, $4 flags, $5 the user; then the command.
_ENCLOSED = """
root=$1; shift
mount --bind "$root" "$root"
for place in etc/rollbackd var/lib/rollbackd srv; do mount --bind "$1" "$root/$place"; shift; done
mount -o remount,bind,ro "$root/etc/rollbackd"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
user=$1; shift
exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""


class Contained(Server):
    """The image, run. Its folders outlive it."""

    def __init__(self, image: Image, root: Path, folder: Path) -> None:
        super().__init__(NAME, folder, self._arguments)
        self.image, self._root = image, root
        self._user = image.user.partition(":")[0]
        self.config, self.journal, self.flags = (folder / name for name in ("etc", "lib", "srv"))
        for place in (self.config, self.journal, self.flags):
            place.mkdir(parents=True)
            os.chown(place, int(self._user), int(self._user))

    def inside(self, *words: str, port: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run something in the container, as `docker exec` would."""
        environment = {**self.image.environment, "ROLLBACKD_URL": f"http://127.0.0.1:{port or self.port}"}
        command = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--root", f"--setuid={self._user}", f"--setgid={self._user}", "env", "-i"]
        return subprocess.run([*command, *_assigned(environment), *words], capture_output=True, text=True, timeout=60, check=False)

    @property
    def first(self) -> int:
        """Process 1 of the container, by its number outside."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def end(self) -> float:
        """SIGTERM to process 1, as an engine does; the seconds it took. Raises LabError when it took too long, or did not end well."""
        started, process = time.monotonic(), self._running()
        os.kill(self.first, signal.SIGTERM)
        if (code := process.wait(60)) != 0:
            raise LabError(f"the container ended with {code}:\n{self.log_tail()}")
        if (took := time.monotonic() - started) > _LONGEST_END:
            raise LabError(f"the container took {took:.1f} s to end")
        return took

    def _arguments(self, port: int) -> list[str | Path]:
        own = [word if "listen-address" not in word else f"--web.listen-address=127.0.0.1:{port}" for word in self.image.command]
        command = ["env", "-i", f"--chdir={self.image.folder}", *_assigned(self.image.environment), *self.image.entrypoint, *own]
        shut_in: list[str | Path] = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", _ENCLOSED, "sh"]
        return [*shut_in, self._root, self.config, self.journal, self.flags, self._user, *command]


def _assigned(environment: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]
