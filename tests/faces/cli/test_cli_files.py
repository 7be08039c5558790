"""`check` and `schema`: verbs about files, with no daemon running."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from rollback_daemon import documents
from rollback_daemon.flags.stores import STORES
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.rules.model import ActionKind
from tests.faces.http.bench import NOBODY_LISTENS, RULES, rollbackd

YES, USAGE = 0, 2
SHIPPED = sorted((Path(__file__).parents[3] / "rules").glob("*.yml"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.yml"
    file.write_text(RULES, encoding="utf-8")
    return file


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yml"
    file.write_text(RULES.replace("above: 1%", "abov: 1%").replace("rollout: checkout", "rollout: other"), encoding="utf-8")
    return file


def config(folder: Path, text: str) -> Path:
    file = folder / "rollbackd.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_good_file_is_said_to_be_good_and_how_it_is_understood(good: Path) -> None:
    ran = rollbackd("check", good)
    assert (ran.code, ran.err) == (YES, "")
    first, *more = ran.out.splitlines()
    assert first == f"{good}: ok: checkout: baseline > canary > half; gates: 1, triggers: 2"
    assert any("Warned" in line for line in more)


def test_what_is_not_there_on_this_machine_is_a_warning_at_its_place(good: Path) -> None:
    more = "verify: [{command: [./smoke.sh]}]\nhooks: [{hook: Chat, on: [ready], http: 'https://chat.example.com/', secret_file: chat.key}]\n"
    good.write_text(RULES + more, encoding="utf-8")
    ran = rollbackd("check", good, "--format", "json")
    assert ran.code == YES
    told = {warning["path"]: warning["text"] for warning in ran.json["rollouts"][0]["warnings"]}
    assert told["verify[0].command"] == f'"{good.parent}/smoke.sh" is no program that can be run on this machine'
    assert told["hooks[0].secret_file"] == f'the secret file "{good.parent}/chat.key" cannot be read on this machine'


def test_the_shipped_rules_are_good() -> None:
    assert rollbackd("check", *SHIPPED).code == YES


def test_every_mistake_of_every_file_is_told_at_once(good: Path, bad: Path, tmp_path: Path) -> None:
    ran = rollbackd("check", good, bad, tmp_path / "missing.yml")
    assert (ran.code, ran.out) == (USAGE, "")
    *problems, count = ran.err.splitlines()
    assert any(line.startswith(f"{bad}:") and '"abov"' in line for line in problems)
    assert f"{tmp_path}/missing.yml: cannot be read: no such file or directory" in problems
    assert count == f"{len(problems)} problems"


def test_check_answers_in_json(good: Path, bad: Path) -> None:
    yes = rollbackd("check", good, "--format", "json")
    assert (yes.code, yes.json["ok"]) == (YES, True)
    [rollout] = yes.json["rollouts"]
    assert (rollout["rollout"], rollout["file"]) == ("checkout", str(good))
    no = rollbackd("check", bad, "--format", "json")
    assert (no.code, no.json["ok"]) == (USAGE, False)
    assert all(set(problem) == {"file", "line", "column", "path", "text"} for problem in no.json["problems"])


def test_a_configuration_is_checked_with_the_rules_that_it_names(good: Path, bad: Path) -> None:
    assert rollbackd("check", config(good.parent, "prometheus: {url: http://127.0.0.1:9090}\nrule_files: [good.yml]\n")).code == YES
    ran = rollbackd("check", config(bad.parent, "prometheus: {url: http://127.0.0.1:9090}\nrule_files: [bad.yml, none/*.yml]\n"))
    assert ran.code == USAGE
    assert '"abov"' in ran.err
    assert '"none/*.yml" names no file' in ran.err


def test_secrets_of_a_configuration_are_looked_for_beside_it(good: Path) -> None:
    auth = "authorization: {credentials_file: token}"
    file = config(good.parent, f"prometheus: {{url: http://127.0.0.1:9090, {auth}}}\nrule_files: [good.yml]\n")
    ran = rollbackd("check", file, cwd=Path("/"))
    assert ran.code == USAGE
    assert f'the file "{good.parent}/token" does not exist' in ran.err
    (good.parent / "token").write_text("s3cr3t", encoding="utf-8")
    assert rollbackd("check", file, cwd=Path("/")).code == YES


@pytest.mark.every_prometheus
def test_a_server_is_asked_whether_it_understands_the_queries(good: Path, told: PrometheusServer) -> None:
    assert rollbackd("check", good, "--prometheus", told.url).code == YES
    newer = good.parent / "newer.yml"
    newer.write_text(RULES.replace("errors or vector(0)", "quantile_over_time(0.5)"), encoding="utf-8")
    ran = rollbackd("check", newer, "--prometheus", told.url)
    assert ran.code == USAGE
    assert "quantile_over_time" in ran.err


@pytest.mark.parametrize("url", [NOBODY_LISTENS, "nonsense"])
def test_a_server_that_does_not_answer_is_a_mistake(good: Path, url: str) -> None:
    ran = rollbackd("check", good, "--prometheus", url)
    assert ran.code == USAGE
    assert ran.err.startswith(f"--prometheus: {url} does not answer as Prometheus does (")


def test_a_proxy_of_the_surroundings_does_not_stand_between(good: Path, told: PrometheusServer) -> None:
    assert rollbackd("check", good, "--prometheus", told.url, env={"HTTP_PROXY": NOBODY_LISTENS, "http_proxy": NOBODY_LISTENS}).code == YES


@pytest.fixture(scope="module")
def rules_schema() -> Draft202012Validator:
    schema = rollbackd("schema").json
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_schema_accepts_what_the_loader_accepts(rules_schema: Draft202012Validator) -> None:
    for file in SHIPPED:
        rules_schema.validate(documents.read(file).value)  # as YAML 1.2 has it, in which `on` is a word
    rules_schema.validate(yaml.safe_load(RULES))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner: deployment-lead", "owners: deployment-lead"),
        ("store: dotenv", "store: dotenvy"),
        ("above: 1%", "abov: 1%"),
        ("action: alert", "action: shout"),
        ("interval: 200ms", "interval: []"),
        ("rollout: checkout", "rollout: check out"),
        ("exposure: 10%", "exposure: [10%]"),
        ("gates:", "mode: maybe\ngates:"),
    ],
)
def test_the_schema_rejects_what_the_loader_rejects(rules_schema: Draft202012Validator, old: str, new: str, tmp_path: Path) -> None:
    text = RULES.replace(old, new)
    assert not rules_schema.is_valid(yaml.safe_load(text))
    broken = tmp_path / "broken.yml"
    broken.write_text(text, encoding="utf-8")
    assert rollbackd("check", broken).code == USAGE


def test_names_in_the_schema_are_those_of_the_registries(rules_schema: Draft202012Validator) -> None:
    text = json.dumps(rules_schema.schema)
    assert json.dumps([*STORES]) in text
    assert [kind for kind in ActionKind if json.dumps(kind) not in text] == []


def test_the_schema_of_the_configuration_accepts_a_full_one() -> None:
    validator = Draft202012Validator(rollbackd("schema", "config").json)
    full = """
    global: {evaluation_interval: 15s, external_labels: {cluster: a}}
    prometheus:
      url: https://prometheus.example.com
      timeout: 10s
      basic_auth: {username: guard, password_file: password}
      tls_config: {ca_file: ca.pem}
      http_headers: {X-Scope-OrgID: {values: [a], files: [tenant]}}
    alerting:
      alertmanagers: [{url: http://127.0.0.1:9093}]
      resend_delay: 1m
    rule_files: [rules/*.yml]
    """
    validator.validate(yaml.safe_load(full))
    assert not validator.is_valid(yaml.safe_load(full.replace("timeout", "timeouts")))
    assert not validator.is_valid({"prometheus": {"url": "http://127.0.0.1:9090"}})
