"""The commands of the installation guide are shell, name what is there, and bring a journal back."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollback_daemon.journal.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "deploy/INSTALL.md").read_text()
STATE, COPIES = "/var/lib/rollbackd", "/var/backups/rollbackd"
STANDING_IN = 'set -eu; sudo() { [ "$1" != -u ] || shift 2; "$@"; }; systemctl() { :; }; rollbackd() { :; }\n'


def blocks(heading: str) -> list[str]:
    """The commands below a heading."""
    text = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("heading", re.findall(r"^## (.*)$", GUIDE, re.MULTILINE))
def test_the_commands_are_shell_and_name_files_of_this_tree(heading: str) -> None:
    assert blocks(heading)
    for block in blocks(heading):
        read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert read.stderr == ""
        assert [name for name in re.findall(r"(?<![\w/])deploy/[\w./-]+", block) if not (ROOT / name).exists()] == []


def test_every_file_of_the_service_is_installed_where_the_unit_looks_for_it() -> None:
    block = blocks("As a service")[0]
    put = dict(re.findall(r"install .*?(deploy/systemd/\S+) (/\S+)$", block, re.MULTILINE))
    assert sorted(put) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / "deploy/systemd").rglob("*") if path.is_file())
    unit = (ROOT / "deploy/systemd/rollbackd.service").read_text()
    assert put["deploy/systemd/rollbackd.yml"] in unit
    assert "ln -sfn /opt/rollbackd-0.1.0 /opt/rollbackd\n" in block
    assert "=/opt/rollbackd/bin/rollbackd " in unit


def test_links_of_the_guide_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", GUIDE):
        assert (ROOT / "deploy" / target).exists(), target


def test_a_journal_that_was_backed_up_and_restored_is_whole_and_goes_on(tmp_path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3 here")
    state, copies = tmp_path / "state", tmp_path / "copies"
    state.mkdir()
    copies.mkdir()
    backup, restore = (STANDING_IN + block.replace(STATE, str(state)).replace(COPIES, str(copies)) for block in blocks("Backing up"))
    url = f"sqlite:///{state}/journal.db"
    journal = Journal.open(url)
    journal.append("checkout", "started", {}, datetime(2026, 1, 1, tzinfo=UTC))
    copied = subprocess.run(["bash", "-c", backup], capture_output=True, text=True, check=True)  # while it is open
    assert copied.stdout == "ok\n"
    journal.append("checkout", "lost", {}, datetime(2026, 1, 2, tzinfo=UTC))
    journal.close()
    subprocess.run(["bash", "-c", restore], capture_output=True, text=True, check=True)
    journal = Journal.open(url)
    journal.append("checkout", "afterwards", {}, datetime(2026, 1, 3, tzinfo=UTC))
    assert ([record.kind for record in journal.records()], journal.verify()) == (["started", "afterwards"], [])
    journal.close()
    assert (state / "before-restore/journal.db").is_file()
