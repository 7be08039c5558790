"""Evidence from outside Prometheus: files of results, each kind read into figures with names. Pure: bytes in, figures out.

This is the registry: a name as it stands in a rule file, and what is behind it. Adding a kind costs a module with a `KIND`, a line here and a test
file; the contract suite then runs on it. Must not live here: files, the network, rules, the judge.
"""

from rollback_daemon.evidence import jsonl, junit, number, parity, pytest_json, release_gate, results, shadow_diff, soak
from rollback_daemon.evidence.kind import Kind

KINDS: dict[str, Kind] = {
    "jsonl": jsonl.KIND,
    "junit": junit.KIND,
    "number": number.KIND,
    "parity": parity.KIND,
    "pytest_json": pytest_json.KIND,
    "release_gate": release_gate.KIND,
    "results": results.KIND,
    "shadow_diff": shadow_diff.KIND,
    "soak": soak.KIND,
}
