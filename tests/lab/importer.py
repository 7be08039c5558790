"""What the tests of imports share: files as they are imported, and loaded again."""

from pathlib import Path

from rollback_daemon.lab.importing import gather
from rollback_daemon.lab.importing.draft import Draft, Wanted
from rollback_daemon.lab.importing.writing import rule_file, written
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.places import PLACEHOLDER


def carried(folder: Path, source: Path, wanted: Wanted | None = None) -> tuple[Rollout, Draft]:
    """The rollout that the written rule file loads as, with limits filled in; and the draft of it."""
    draft = gather([source], wanted or Wanted())
    rules = rule_file(draft, "imported", draft.settle(whole=True), whole=True)
    file = folder / "imported.yml"
    file.write_text(written(rules, draft, source.name).replace(f"above: {PLACEHOLDER}", "above: 1"), encoding="utf-8")
    return load(file), draft


def said(draft: Draft, folder: Path) -> list[str]:
    """The notes as they are printed, with file names relative to a folder."""
    return [str(note.problem).replace(f"{folder}/", "") for note in draft.notes]
