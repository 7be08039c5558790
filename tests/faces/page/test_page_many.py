"""Several rollouts on the home page of a real daemon: who comes to need a person rises to the top, and who is taken from the rules goes."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.bench import FLAGS, RULES, Bench
from tests.faces.page.conftest import Sight


def names(page: Page) -> list[str]:
    return page.locator("#rollouts h2").all_inner_texts()


def test_lines_move_and_go_where_they_stand(told: PrometheusServer, look: Callable[..., Sight], tmp_path: Path) -> None:
    for name in ("alpha", "omega"):
        flags = tmp_path / f"{name}.env"
        flags.write_text(FLAGS, encoding="utf-8")
        rules = RULES.replace("rollout: checkout", f"rollout: {name}").replace("path: flags.env", f"path: {flags}")
        (tmp_path / f"{name}.more.yml").write_text(rules, encoding="utf-8")
    with Bench(tmp_path, told.url, config={"rule_files": ["rules.yml", "*.more.yml"]}) as bench:
        bench.set_error_rate(0)
        sight = look()
        page = sight.page
        page.goto(f"{bench.daemon.url}/")
        expect(page.locator("#live")).to_have_text("live")
        page.evaluate("window.stayed = true")
        assert names(page) == ["alpha", "checkout", "omega"]
        page.get_by_role("link", name="omega", exact=True).focus()
        bench.post("/api/v1/rollouts/omega/hold", {"reason": "<img src=x onerror=alert(1)>"})
        expect(page.locator("#rollouts h2").first).to_have_text("omega")
        assert names(page) == ["omega", "alpha", "checkout"]
        assert page.evaluate("document.activeElement.textContent") == "omega", "the focus goes with its line"
        expect(page.locator("#rollouts > li").first).to_contain_text("<img src=x onerror=alert(1)>")
        page.locator("#phase").select_option("needs")
        expect(page.locator("#count")).to_have_text("1 of 3")
        bench.post("/api/v1/rollouts/omega/resume", {"reason": "go on"})
        expect(page.locator("#count")).to_have_text("0 of 3")
        (tmp_path / "alpha.more.yml").unlink()
        assert bench.post("/-/reload").status_code == 200
        expect(page.locator("#rollouts h2")).to_have_text(["checkout", "omega"])
        expect(page.locator("#count")).to_have_text("0 of 2")
        assert page.evaluate("window.stayed") is True
        assert sight.complaints == []
