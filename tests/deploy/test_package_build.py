"""What is built of the tree: the same bytes each time, with everything in it, and it runs where it is installed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rollback_daemon"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.db", "build", "dist")
A_DAY = {"SOURCE_DATE_EPOCH": "1700000000"}


def build(tree: Path, made: Path, umask: int) -> list[Path]:
    """Wheel and source archive of a tree, by the build backend itself: no network, no environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(made)]
    done = subprocess.run(command, cwd=tree, env={**os.environ, **A_DAY}, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(made.iterdir())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone has."""
    folder = tmp_path_factory.mktemp("clone") / "rollback-daemon"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"):
        shutil.copy(ROOT / name, folder)
    for name in ("rollback_daemon", "rules", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    return folder


@pytest.fixture(scope="module")
def built(tree: Path) -> list[Path]:
    """The wheel and the source archive."""
    return build(tree, tree.parent / "made", 0o022)


def test_two_builds_are_the_same_bytes(tree: Path, built: list[Path]) -> None:
    again = tree.parent / "another/place"
    shutil.copytree(tree, again, copy_function=shutil.copyfile)  # other times, and no file may be run
    for path in tree.rglob("*"):
        if path.is_file():
            (again / path.relative_to(tree)).chmod(path.stat().st_mode & 0o711)
    assert [(one.name, one.read_bytes()) for one in build(again, again.parent / "made", 0o077)] == [(one.name, one.read_bytes()) for one in built]


def test_the_wheel_has_every_file_of_the_package(built: list[Path]) -> None:
    (wheel,) = (one for one in built if one.suffix == ".whl")
    there = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    with zipfile.ZipFile(wheel) as opened:
        assert {name for name in opened.namelist() if name.startswith("rollback_daemon/")} == there


def test_the_source_archive_has_what_it_takes_to_run_the_service(built: list[Path]) -> None:
    (archive,) = (one for one in built if one.suffix == ".gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "Makefile", "deploy/systemd/rollbackd.service", "rules/README.md"} <= names


def test_the_wheel_runs_where_it_is_installed(built: list[Path], tmp_path: Path) -> None:
    """Its dependencies are lent by the environment of the tests; that pip finds them too is shown by `make container`."""
    (wheel,) = (one for one in built if one.suffix == ".whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=60)
    site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True)
    Path(site.stdout.strip(), "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    place = run(python, "-c", "import rollback_daemon; print(rollback_daemon.__file__)")
    assert place.startswith(str(tmp_path))
    assert run(tmp_path / "venv/bin/rollbackd", "--version").startswith("rollbackd ")
    assert "checkout" in run(tmp_path / "venv/bin/rollbackd", "check", ROOT / "deploy/systemd/rollbackd.yml")
    assert (tmp_path / "venv/share/man/man1/rollbackd.1").read_text() == (ROOT / "deploy/man/rollbackd.1").read_text()
