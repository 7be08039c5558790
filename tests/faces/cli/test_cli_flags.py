"""The verb `flags` against a real daemon over a YAML file with comments, which two rollouts share: looking, copying, putting back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import Bench, rollbackd

YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3
PROFILES = """\
# who gets what; ask ops before you touch it
profiles:
  checkout: {enabled: false, percent: 0}   # the new one

  search:
    mode: 'old'
"""
RULES = """
rollout: checkout
owner: lead
interval: 200ms
flags:
  store: yaml
  path: FOLDER/profiles.yaml
  after_change: {command: [/bin/sh, -c, 'echo "$ROLLBACKD_KIND $ROLLBACKD_FROM $ROLLBACKD_TO" >> FOLDER/restarted'], timeout: 10s}
  on_drift: {lower: adopt, raise: alert, other: alert}
baseline: {/profiles/checkout/enabled: false, /profiles/checkout/percent: 0}
stages:
  - {stage: canary, exposure: 10%, set: {/profiles/checkout/enabled: true, /profiles/checkout/percent: 10}, soak: 0s}
  - {stage: half, exposure: 50%, set: {/profiles/checkout/percent: 50}, soak: 1h}
signals: {errors: {expr: vector(0)}}
triggers:
  - {alert: Errors, signal: errors, above: 1}
"""
BESIDE = """
rollout: search
owner: lead
interval: 1h
flags: {store: yaml, path: FOLDER/beside.yaml, on_drift: {raise: alert}}
baseline: {/profiles/search/mode: old}
stages: [{stage: all, exposure: 100%, set: {/profiles/search/mode: new}}]
signals: {errors: {expr: vector(0)}}
triggers:
  - {alert: Errors, signal: errors, above: 1}
"""


class Shop(Bench):
    """The daemon, with the file of the flags."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        super().__init__(folder, prometheus, rules=RULES.replace("FOLDER", str(folder)), config={"rule_files": ["rules.yml", "beside.yml"]})
        (folder / "beside.yml").write_text(BESIDE.replace("FOLDER", str(folder)), encoding="utf-8")
        self.profiles = folder / "profiles.yaml"
        self.profiles.write_text(PROFILES, encoding="utf-8")
        (folder / "beside.yaml").symlink_to(self.profiles)

    def at_canary(self) -> None:
        """The file as it was delivered, all copies gone, and promoted from there to the canary: one copy is kept, of the baseline."""
        for copy in self.folder.glob("*.bak"):
            copy.unlink()
        self.profiles.write_text(PROFILES, encoding="utf-8")
        self.ask_for("rollback", reason="begin anew", to="baseline")
        wait_until(lambda: self.rollout()["phase"] in {"baseline", "rolled_back"} and self.rollout()["stage"] == "baseline", "the baseline", 20)
        self.ask_for("resume", reason="begin anew")
        wait_until(lambda: self.ask_for("promote", reason="day one").status_code == 202, "the promotion to be allowed", 20)
        self.wait_for(stage="canary", phase="ready")

    def by_hand(self, old: str, new: str) -> None:
        """Somebody edits the file."""
        text = self.profiles.read_text(encoding="utf-8")
        assert old in text
        self.profiles.write_text(text.replace(old, new), encoding="utf-8")

    def restarts(self) -> list[str]:
        """What the command after a change was told, each time."""
        return (self.folder / "restarted").read_text(encoding="utf-8").splitlines()

    def last(self, event: str) -> dict[str, object]:
        """The newest event of a kind."""
        found: dict[str, object] = next(one for one in reversed(self.history()) if one["event"] == event)
        return found


@pytest.fixture(scope="module")
def daemon(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One daemon for all of them."""
    with Shop(tmp_path_factory.mktemp("shop"), told.url) as shop:
        yield shop


@pytest.fixture
def shop(daemon: Shop) -> Shop:
    """At the canary, with a file that nobody has touched."""
    daemon.at_canary()
    return daemon


def test_a_copy_put_back_brings_the_very_bytes_and_restarts(shop: Shop) -> None:
    assert "percent: 10}   # the new one" in shop.profiles.read_text(encoding="utf-8")
    ran = shop.rollbackd("flags", "checkout", "restore", "--reason", "not tonight")
    assert (ran.code, ran.err) == (YES, "")
    assert "rolled_back" in ran.out
    assert shop.profiles.read_text(encoding="utf-8") == PROFILES
    assert shop.restarts()[-1] == "rollback canary baseline"
    intended, rollout = shop.last("intended"), shop.rollout()
    assert (intended["kind"], intended["to"], intended["way_kind"], intended["code"]) == ("rollback", "baseline", "backup", "person")
    assert (rollout["phase"], rollout["stage"]) == ("rolled_back", "baseline")
    again = shop.rollbackd("flags", "checkout", "restore", "--reason", "twice")
    assert (again.code, "there is nothing to restore" in again.err) == (NO, True)


def test_a_copy_of_the_same_stage_mends_what_somebody_did_to_the_rest_of_the_file(shop: Shop) -> None:
    made = shop.rollbackd("flags", "checkout", "backup", "--reason", "before the cleaning")
    before = shop.profiles.read_bytes()
    assert (made.code, Path(made.out.strip()).read_bytes()) == (YES, before)
    record = shop.last("backed_up")
    assert (record["backup"], str(record["why"]).endswith(": before the cleaning")) == (made.out.strip(), True)
    assert f"{made.out.strip()}: " in shop.rollbackd("history", "checkout", "--limit", "5").out
    shop.by_hand("# who gets what; ask ops before you touch it\n", "")
    assert shop.rollbackd("flags", "checkout").code == YES
    ran = shop.rollbackd("flags", "checkout", "restore", made.out.strip(), "--reason", "the comments", "--format", "json")
    assert (ran.code, ran.json["phase"], ran.json["stage"]) == (YES, "rolled_back", "canary")
    assert shop.profiles.read_bytes() == before


def test_status_tells_the_flags_beside_those_on_record_and_whose_the_copies_are(shop: Shop) -> None:
    ran = shop.rollbackd("flags", "checkout", "status")
    assert (ran.code, ran.err) == (YES, "")
    for words in ("checkout  canary on record, its flags are as on record", f"place    {shop.profiles} (yaml)", "changed  modified 20", "ON RECORD"):
        assert words in ran.out
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["/profiles/checkout/enabled", "true", "true"] in rows
    assert f"copies in {shop.profiles}.rollbackd-*.bak, by what stands for the *:" in ran.out
    found = shop.rollbackd("flags", "checkout", "--format", "json").json
    assert found == shop.get("/api/v1/rollouts/checkout/flags").json()
    assert (found["as_on_record"], found["stage"], found["flags_of"], found["store"]) == (True, "canary", "canary", "yaml")
    assert [(one["stage"], one["why_not"]) for one in found["backups"]] == [("baseline", "")]
    own = found["backups"][0]["backup"].removeprefix(f"{shop.profiles}.rollbackd-").removesuffix(".bak")
    assert next(row for row in rows if row and row[0] == own)[-2:] == ["baseline", "yes"]
    assert shop.rollbackd("flags", "checkout", "restore", own, "--reason", "by its part", "--wait", "0").code == YES
    assert {"owner", "modified"} <= found["trace"].keys() & found["backups"][0]["trace"].keys()


def test_status_ends_with_1_where_they_differ_and_with_3_where_they_cannot_be_read(shop: Shop) -> None:
    shop.by_hand("percent: 10", "percent: 7")
    ran = shop.rollbackd("flags", "checkout", "--format", "json")
    assert (ran.code, ran.json["as_on_record"], ran.json["flags_of"]) == (NO, False, None)
    differing = [(one["flag"], one["expected"], one["actual"]) for one in ran.json["flags"] if one["differs"]]
    assert differing == [("/profiles/checkout/percent", 10, 7)]
    ran = shop.rollbackd("flags", "checkout")
    assert (ran.code, "its flags are those of no stage" in ran.out) == (NO, True)
    shop.profiles.write_text("profiles: {checkout: [", encoding="utf-8")
    ran = shop.rollbackd("flags", "checkout")
    assert (ran.code, "its flags cannot be held against it" in ran.out, f"unreadable  {shop.profiles}:1" in ran.out) == (UNKNOWN, True, True)
    assert ran.out.rstrip().endswith("yes"), ran.out


def test_a_copy_mends_a_file_that_nobody_can_read(shop: Shop) -> None:
    shop.profiles.write_text("profiles: {checkout: [", encoding="utf-8")
    ran = shop.rollbackd("flags", "checkout", "restore", "--reason", "half an edit")
    assert (ran.code, ran.err) == (YES, "")
    assert shop.profiles.read_text(encoding="utf-8") == PROFILES
    assert shop.rollbackd("flags", "checkout").code == YES


def test_what_would_raise_or_is_of_no_stage_is_refused_and_on_record(shop: Shop) -> None:
    shop.rollbackd("flags", "checkout", "backup", "--reason", "at the canary")
    high = Path(str(shop.last("backed_up")["backup"]))
    odd = high.with_name("profiles.yaml.rollbackd-odd.bak")
    odd.write_text(PROFILES.replace("percent: 0", "percent: 7"), encoding="utf-8")
    assert shop.rollbackd("rollback", "checkout", "--reason", "down").code == YES
    down = shop.profiles.read_bytes()
    for copy, why in ((high, 'its flags are those of "canary", above "baseline"; that is a promotion'), (odd, "its flags are those of no stage")):
        ran = shop.rollbackd("flags", "checkout", "restore", copy.name, "--reason", "up again")
        assert (ran.code, "refused: checkout stays at baseline" in ran.err, why in ran.err) == (NO, True, True), ran.err
        assert shop.last("refused")["request"] == "flags restore"
    assert shop.profiles.read_bytes() == down


def test_a_copy_that_would_change_the_flags_of_another_rollout_is_refused(shop: Shop) -> None:
    shop.by_hand("mode: 'old'", "mode: 'new'")
    ran = shop.rollbackd("flags", "checkout", "restore", "--reason", "down")
    assert (ran.code, "it would change the flags of search, too" in ran.err) == (NO, True), ran.err
    assert "mode: 'new'" in shop.profiles.read_text(encoding="utf-8")
    shop.by_hand("mode: 'new'", "mode: 'old'")


def test_no_copy_can_be_made_of_what_is_not_there(shop: Shop) -> None:
    away = shop.profiles.with_name("away")
    shutil.move(shop.profiles, away)
    answer = shop.ask_for("flags/backup", reason="where is it")
    listed = shop.get("/api/v1/rollouts/checkout/flags").json()
    shutil.move(away, shop.profiles)
    assert (answer.status_code, "create it, or correct the path" in answer.json()["error"]) == (409, True)
    assert shop.last("refused")["request"] == "flags backup"
    assert (listed["as_on_record"], listed["backups"], "no such file" in listed["backups_unreadable"]) == (None, [], True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["flags", "nothing"], USAGE, 'there is no rollout "nothing"'),
        (["flags", "checkout", "restore"], USAGE, "say why you want to restore them, by --reason"),
        (["flags", "checkout", "backup"], USAGE, "say why you want to backup them, by --reason"),
        (["flags", "checkout", "status", "x.bak"], USAGE, '`status` takes no copy; "x.bak" is one too many'),
        (["flags", "checkout", "toggle"], USAGE, "toggle"),
        (["flags", "checkout", "restore", "x.bak", "--reason", "r"], NO, '"x.bak" is no copy that is kept'),
    ],
)
def test_what_cannot_be_meant_is_said(daemon: Shop, words: list[str], code: int, said: str) -> None:
    ran = daemon.rollbackd(*words)
    assert (ran.code, said in ran.err) == (code, True), ran.err


def test_it_asks_the_daemon_that_it_is_told_of() -> None:
    ran = rollbackd("flags", "checkout", "--url", "http://127.0.0.1:9")
    assert (ran.code, "does not answer" in ran.err) == (UNKNOWN, True)
