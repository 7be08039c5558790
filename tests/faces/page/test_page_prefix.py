"""Behind a real nginx: below a path that it keeps, and over its TLS; and below one that it takes off."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import expect

from rollback_daemon.lab.servers import PrometheusServer, Server, free_port
from rollback_daemon.lab.toolset import CHECKOUT
from tests.faces.http.bench import rollbackd
from tests.faces.http.door import Papers
from tests.faces.page.conftest import Sight
from tests.faces.page.house import PEOPLE, ROLLOUT, House, Visitor

CONF = """
pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; proxy_http_version 1.1; proxy_set_header X-Forwarded-For $remote_addr;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{secure} ssl;
    ssl_certificate {papers}/server.pem; ssl_certificate_key {papers}/server.key;
    location = /-/ready {{ return 200; }}
    {locations}
  }}
}}
"""


class Nginx(Server):
    """A reverse proxy; `lead` says what is where."""

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__("nginx", folder, self._arguments)
        self._program, self.papers, self.secure = program, Papers(folder / "papers"), free_port()
        self._locations: Mapping[str, str] = {}

    def lead(self, locations: Mapping[str, str]) -> None:
        """Paths to addresses: an address that ends with a slash gets what follows the path, any other one the whole path."""
        self._locations = locations
        self.stop()
        self.start()

    def _arguments(self, port: int) -> list[str | Path]:
        locations = "".join(f"location {path}/ {{ proxy_pass {to}; }}\n" for path, to in self._locations.items())
        conf = self.folder / "nginx.conf"
        text = CONF.format(folder=self.folder, papers=self.papers.folder, port=port, secure=self.secure, locations=locations)
        conf.write_text(text, encoding="utf-8")
        return [self._program, "-p", self.folder, "-e", self.folder / "error.log", "-c", conf]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    program = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", str(CHECKOUT / ".tools" / "bin")]))
    missing = "there is no nginx; install the package nginx"
    if program is None and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if program is None:
        pytest.skip(missing)
    with Nginx(tmp_path_factory.mktemp("nginx"), program) as one:
        yield one


def test_below_a_path_that_the_proxy_keeps_and_over_its_tls(nginx: Nginx, told: PrometheusServer, tmp_path: Path, look: Callable[..., Sight]) -> None:
    outside = f"https://127.0.0.1:{nginx.secure}/guard"
    with House(tmp_path, told.url, arguments=("--web.external-url", f"{outside}/"), prefix="/guard") as house:
        house.set_error_rate(0)
        nginx.lead({"/guard": house.daemon.url})
        direct = Visitor(house.daemon.url)
        assert (direct.get("/").headers["location"], direct.get(ROLLOUT).status_code, direct.get("/guardian").status_code) == ("/guard/", 404, 404)
        tab = look(ignore_https_errors=True)
        tab.page.goto(f"{outside}{ROLLOUT}/hold")
        assert tab.page.url.startswith(f"{outside}/login?")
        tab.page.get_by_label("User name").fill("ann")
        tab.page.get_by_label("Password").fill(PEOPLE["ann"])
        tab.page.get_by_role("button", name="Log in").click()
        tab.page.get_by_label("Reason").fill("from outside")
        tab.page.get_by_role("button", name="Hold it").click()
        expect(tab.page.locator(".notice")).to_contain_text("It is held")
        expect(tab.page.locator("#timeline")).to_contain_text("from outside")
        every = [one.get_attribute(key) or "" for key in ("href", "src", "action") for one in tab.page.locator(f"[{key}]").all()]
        assert [one for one in every if one.startswith("/") and not one.startswith("/guard/")] == []
        assert {(one["name"].partition("rollbackd")[0], one["path"], one["secure"]) for one in tab.page.context.cookies()} == {
            ("__Secure-", "/guard", True)
        }
        assert tab.page.locator("html.js").count() == 1  # the script has come along
        with tab.page.expect_response(lambda one: "/guard/api/v1/events" in one.url and one.status == 200):
            tab.page.reload()
        assert tab.complaints == []
        with house.as_user("eve", PEOPLE["eve"]) as session:
            answer = session.get(f"{nginx.url}/guard/api/v1/openapi.json", timeout=20)
        assert answer.json().get("servers") == [{"url": "/guard"}], answer.text[:300]
        log = [one for one in house.log() if one["msg"] == "logged in"]
        assert [one["address"] for one in log] == ["127.0.0.1 through 127.0.0.1"]


def test_below_a_path_that_the_proxy_takes_off(nginx: Nginx, told: PrometheusServer, tmp_path: Path) -> None:
    outside = f"{nginx.url}/cut"
    with House(tmp_path, told.url, arguments=("--web.external-url", outside, "--web.route-prefix", "/")) as house:
        house.set_error_rate(0)
        nginx.lead({"/cut": f"{house.daemon.url}/"})
        visitor = Visitor(outside)
        assert visitor.get("/").headers["location"] == "/cut/login?next=/"
        assert visitor.log_in("ann", PEOPLE["ann"]).headers["location"] == "/cut/"
        assert visitor.send(f"{ROLLOUT}/hold").headers["location"].startswith(f"/cut{ROLLOUT}?done=")
        login = ["--http.config.file", str(house.login_of("eve", PEOPLE["eve"]))]
        ran = rollbackd("resume", "checkout", "--reason", "go on", "--url", f"{outside}/", *login)
        assert (ran.code, house.rollout()["phase"]) == (0, "baseline")
