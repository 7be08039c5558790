"""What `--web.external-url` and `--web.route-prefix` come to, as in Prometheus."""

import pytest

from rollback_daemon.faces.http.reach import Reach, of_flags
from tests.faces.http.bench import rollbackd


@pytest.mark.parametrize(
    ("url", "prefix", "known"),
    [
        ("", None, Reach()),
        ("", "/guard", Reach("", "", "/guard")),
        ("https://ops.example.com", None, Reach("https://ops.example.com")),
        ("https://ops.example.com/guard/", None, Reach("https://ops.example.com/guard", "/guard", "/guard")),
        ("https://ops.example.com/guard", "/", Reach("https://ops.example.com/guard", "/guard", "")),
        ("http://ops:8080/a/b", "c/d/", Reach("http://ops:8080/a/b", "/a/b", "/c/d")),
    ],
)
def test_the_prefix_is_the_path_of_the_url_unless_another_is_given(url: str, prefix: str | None, known: Reach) -> None:
    assert of_flags(url, prefix) == known


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://OPS.example.com:443/guard", "https://ops.example.com"),
        ("http://ops.example.com:80", "http://ops.example.com"),
        ("http://ops.example.com:8080/", "http://ops.example.com:8080"),
        ("http://[::1]:9811", "http://[::1]:9811"),
        ("", ""),
    ],
)
def test_the_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert of_flags(url).origin == origin


def test_paths_inside_have_no_prefix_and_others_are_not_served() -> None:
    known = of_flags("https://ops.example.com/guard")
    assert [known.inside(path) for path in ("/guard", "/guard/", "/guard/metrics", "/guardian", "/", "/metrics")] == [
        "/",
        "/",
        "/metrics",
        None,
        None,
        None,
    ]
    assert Reach().inside("/metrics") == "/metrics"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--web.external-url", "ops.example.com"], "no address"),
        (["--web.external-url", "ftp://ops"], "no address"),
        (["--web.external-url", "http://ops:port"], "no address"),
        (["--web.external-url", "http://ops/?a=b"], "neither a user name nor a query"),
        (["--web.external-url", "http://ops/a b"], "letters, digits"),
        (["--web.route-prefix", "/a//b"], "letters, digits"),
        (["--web.route-prefix", "/../b"], "letters, digits"),
        (["--web.route-prefix", "/a;b"], "letters, digits"),
    ],
)
def test_what_is_neither_is_refused_with_its_flag(arguments: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        of_flags(arguments[1]) if "url" in arguments[0] else of_flags("", arguments[1])
    assert str(refused.value).startswith(arguments[0])


def test_the_command_line_says_so_with_2() -> None:
    ran = rollbackd("run", "--web.external-url", "ops.example.com")
    assert (ran.code, "--web.external-url" in ran.err) == (2, True)
