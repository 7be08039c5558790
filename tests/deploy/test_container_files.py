"""Dockerfile, compose file and Kubernetes manifest are what they must be one by one, and agree on ports, paths and users."""

import re
import shlex
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rollback_daemon import __version__, config

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "container/Dockerfile"
KUBERNETES = ["1.28", "1.31", "1.34"]
STATE, CONFIG, PORT, USER = "/var/lib/rollbackd", "/etc/rollbackd", 9811, 9811


def instructions(name: str) -> list[str]:
    """What stands behind an instruction of the Dockerfile, in its last stage."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    return re.findall(rf"^{name} +(.*)$", text[text.rindex("\nFROM ") :], re.MULTILINE)


@cache
def compose() -> Any:
    """The compose file."""
    return yaml.safe_load((DEPLOY / "container/compose.yml").read_text())


@cache
def manifest() -> dict[str, Any]:
    """The Kubernetes objects by kind and name."""
    found = yaml.safe_load_all((DEPLOY / "kubernetes/rollbackd.yml").read_text())
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def pod() -> Any:
    """What the deployment runs."""
    return manifest()["Deployment/rollbackd"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_one_that_kubernetes_takes(version: str) -> None:
    assert sorted(manifest()) == [
        "ConfigMap/rollbackd",
        "Deployment/rollbackd",
        "PersistentVolumeClaim/feature-flags",
        "PersistentVolumeClaim/rollbackd-journal",
        "Service/rollbackd",
    ]
    for one in manifest().values():
        kubernetes_validate.validate(one, version, strict=True)  # strict: no field that is not known


def test_the_objects_name_each_other() -> None:
    deployment, service = manifest()["Deployment/rollbackd"], manifest()["Service/rollbackd"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    volumes = {one["name"]: one for one in pod()["volumes"]}
    (container,) = pod()["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == set(volumes)
    assert f"ConfigMap/{volumes['config']['configMap']['name']}" in manifest()
    for name in ("journal", "flags"):
        assert f"PersistentVolumeClaim/{volumes[name]['persistentVolumeClaim']['claimName']}" in manifest()
    (port,) = container["ports"]
    assert {probe["httpGet"]["port"] for key, probe in container.items() if key.endswith("Probe")} == {port["name"]}
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


def test_all_of_them_agree_on_the_port() -> None:
    (container,) = pod()["containers"]
    (line,) = instructions("EXPOSE")
    assert int(line) == PORT == container["ports"][0]["containerPort"] == manifest()["Service/rollbackd"]["spec"]["ports"][0]["port"]
    assert compose()["services"]["rollbackd"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert f"rollbackd:{PORT}" in (DEPLOY / "container/prometheus.yml").read_text()
    assert manifest()["Deployment/rollbackd"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(PORT)
    assert f"http://127.0.0.1:{PORT}" in DOCKERFILE.read_text()


def test_all_of_them_agree_on_the_user() -> None:
    context = pod()["securityContext"]
    assert instructions("USER") == [f"{USER}:{USER}"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"], context["runAsNonRoot"]) == (USER, USER, USER, True)
    assert f"chown -R {USER}:{USER} /srv/flags" in compose()["services"]["flags"]["command"][0]


def test_all_of_them_agree_on_what_is_run_and_where_it_writes() -> None:
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    (container,) = pod()["containers"]
    words = yaml.safe_load(command)
    assert yaml.safe_load(entry)[-1] == "rollbackd"
    assert container["args"] == words
    assert "command" not in container  # the entry point of the image stays
    (line,) = re.findall(r"^ExecStart=\S+ (.*) \$ARGS$", (DEPLOY / "systemd/rollbackd.service").read_text(), re.MULTILINE)
    assert {*shlex.split(line)} <= {part for word in words for part in word.split("=", 1)}
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    assert mounts[CONFIG]["readOnly"] is True
    assert instructions("VOLUME") == [f'["{STATE}"]']
    assert instructions("WORKDIR") == [STATE]
    own = [one.split(":") for one in compose()["services"]["rollbackd"]["volumes"]]
    assert {place for _, place, *_ in own} | {"/tmp"} == set(mounts)  # noqa: S108 (a path in the container)


def test_none_of_them_may_do_more_than_it_needs() -> None:
    for service in ("rollbackd", "prometheus", "alertmanager", "grafana"):
        described = compose()["services"][service]
        assert (described["cap_drop"], described["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert all(published.startswith("127.0.0.1:") for published in described["ports"])
    assert compose()["services"]["rollbackd"]["read_only"] is True
    (container,) = pod()["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_what_is_mounted_from_this_tree_is_there() -> None:
    named = [one.split(":")[0] for service in compose()["services"].values() for one in service.get("volumes", ())]
    paths = [one for one in named if one.startswith(".")]
    assert [one for one in paths if not (DEPLOY / "container" / one).exists()] == []
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE.read_text(), re.MULTILINE) for word in line.split()[:-1]]
    assert [one for one in copied if not (ROOT / one).exists()] == []


def test_the_image_is_of_this_version() -> None:
    images = {one["image"] for one in compose()["services"].values() if "build" in one} | {one["image"] for one in pod()["containers"]}
    assert images == {f"rollbackd:{__version__}"}


def test_the_configurations_of_both_load_and_name_flags_where_they_are_mounted(tmp_path: Path) -> None:
    for name, text in manifest()["ConfigMap/rollbackd"]["data"].items():
        (tmp_path / name).write_text(text)
    for file in (tmp_path / "rollbackd.yml", DEPLOY / "container/rollbackd/rollbackd.yml"):
        (rollout,) = config.load(file).rollouts
        assert (rollout.name, rollout.flags.path) == ("checkout", "/srv/flags/checkout.env")


def pins() -> dict[str, str]:
    """The versions that constraints.txt names, by canonical name."""
    lines = (DEPLOY / "container/constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if not line.startswith("#"))}


def needed(name: str, found: dict[str, list[Requirement]]) -> dict[str, list[Requirement]]:
    """Everything that a package needs here, through all that it needs, with who asks how for it."""
    try:
        asked = [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:
        return found
    for one in asked:
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            known = canonicalize_name(one.name)
            news = known not in found
            found.setdefault(known, []).append(one)
            if news:
                needed(known, found)
    return found


def test_every_package_of_the_image_is_pinned_to_a_version_that_will_do() -> None:
    asked = needed("hatchling", needed("rollback-daemon", {}))
    assert sorted(asked.keys() - pins().keys()) == []
    assert [str(one) for name, all_of in asked.items() for one in all_of if pins()[name] not in one.specifier] == []


def test_the_constraints_name_versions_and_no_place_to_get_them_from() -> None:
    text = (DEPLOY / "container/constraints.txt").read_text()
    assert re.findall(r"://|^-|@", text, re.MULTILINE) == []
    assert "hatchling" in text.partition("\n# build\n")[2]
