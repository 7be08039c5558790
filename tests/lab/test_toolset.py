"""Programs are found where they may be, each version once, and paired with the Alertmanager beside them."""

from pathlib import Path

from rollback_daemon.lab.toolset import Toolset, toolsets


def program(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{name}, version {version}+ds (branch: debian/sid)' >&2\n", encoding="ascii")
    path.chmod(0o755)
    return path


def test_a_machine_without_any_has_none(tmp_path: Path) -> None:
    assert toolsets({"PATH": str(tmp_path)}, tmp_path) == []


def test_the_programs_on_path_are_found_under_debians_name_for_alertmanager(tmp_path: Path) -> None:
    names = {"prometheus": "2.42.0", "promtool": "2.42.0", "prometheus-alertmanager": "0.25.0", "amtool": "0.25.0"}
    prometheus, promtool, alertmanager, amtool = (program(tmp_path / "bin", *each) for each in names.items())
    assert toolsets({"PATH": f"/nowhere:{tmp_path}/bin"}, tmp_path) == [Toolset(prometheus, promtool, alertmanager, amtool, "2.42.0")]


def test_a_folder_of_versions_gives_one_toolset_each_with_the_newest_alertmanager(tmp_path: Path) -> None:
    for name, version in [("prometheus", "3.5.3"), ("prometheus", "2.53.3"), ("promtool", "3.5.3")]:
        program(tmp_path, f"{name}-{version}", version)
    for version in ("0.9.0", "0.33.1", "0.28.1"):
        program(tmp_path, f"prometheus-alertmanager-{version}", version)
    program(tmp_path, "amtool-0.33.1", "0.33.1")
    found = toolsets({"PATH": "", "PROMETHEUS_DIR": str(tmp_path)}, tmp_path)
    assert [(tools.version, tools.promtool) for tools in found] == [
        ("2.53.3", None),
        ("3.5.3", tmp_path / "promtool-3.5.3"),
    ]
    assert {tools.alertmanager.name for tools in found} == {"prometheus-alertmanager-0.33.1"}
    assert {tools.amtool for tools in found} == {tmp_path / "amtool-0.33.1"}


def test_a_version_found_twice_counts_once_and_path_wins_over_the_checkouts_tools(tmp_path: Path) -> None:
    on_path = [program(tmp_path / "bin", name, "2.42.0") for name in ("prometheus", "alertmanager")]
    for name, version in [("prometheus", "2.42.0"), ("alertmanager", "0.25.0")]:
        program(tmp_path / ".tools" / "bin", name, version)
    found = toolsets({"PATH": str(tmp_path / "bin")}, tmp_path)
    assert [(tools.prometheus, tools.alertmanager) for tools in found] == [tuple(on_path)]


def test_a_prometheus_without_alertmanager_and_what_does_not_run_are_left_out(tmp_path: Path) -> None:
    program(tmp_path / "bin", "prometheus", "2.42.0")
    program(tmp_path / ".tools" / "bin", "prometheus", "no version at all")
    program(tmp_path / ".tools" / "bin", "alertmanager", "0.25.0")
    assert toolsets({"PATH": str(tmp_path / "bin")}, tmp_path) == []
