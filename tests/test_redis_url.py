"""The URL of a Redis is parsed completely, and its errors quote no password."""

from __future__ import annotations

import pytest

from signer.redis_url import InvalidRedisUrl, RedisUrl, is_redis_url, parse_redis_url

PASSWORD = "hunter2"


def test_a_server_has_a_host_and_a_database() -> None:
    url = parse_redis_url(f"redis://ann:{PASSWORD}%2F%40@redis:6380/3")
    assert (url.hosts, url.database, url.socket_path, url.master_name) == ((("redis", 6380),), 3, "", "")
    assert (url.username, url.password) == ("ann", f"{PASSWORD}/@")
    assert (url.location, url.is_tls) == ("redis://redis:6380/3", False)


@pytest.mark.parametrize(
    ("text", "hosts", "database"),
    [
        ("redis://", (("localhost", 6379),), 0),
        ("redis:///1", (("localhost", 6379),), 1),
        ("redis://h", (("h", 6379),), 0),
        ("redis://h/", (("h", 6379),), 0),
        ("redis://h/1?db=2", (("h", 6379),), 2),
        ("rediss://[::1]:1", (("::1", 1),), 0),
        ("redis+sentinel://h/m", (("h", 26379),), 0),
    ],
)
def test_parts_have_defaults(text: str, hosts: tuple[tuple[str, int], ...], database: int) -> None:
    url = parse_redis_url(text)
    assert (url.hosts, url.database) == (hosts, database)


def test_a_socket_has_a_path() -> None:
    url = parse_redis_url(f"unix://:{PASSWORD}@/run/my%20redis.sock?db=1")
    assert (url.socket_path, url.database, url.password, url.hosts) == ("/run/my redis.sock", 1, PASSWORD, ())


def test_sentinels_have_hosts_and_a_master() -> None:
    options = f"sentinel_username=bob&sentinel_password={PASSWORD}"
    url = parse_redis_url(f"rediss+sentinel://:{PASSWORD}@a,[::1]:26380,c:1/my-master/2?{options}")
    assert url.hosts == (("a", 26379), ("::1", 26380), ("c", 1))
    assert (url.master_name, url.database, url.is_tls) == ("my-master", 2, True)
    assert url.options == {"sentinel_username": "bob", "sentinel_password": PASSWORD}
    assert url.location == "rediss+sentinel://a,[::1]:26380,c:1/my-master/2"


def test_the_repr_contains_no_secret() -> None:
    url = parse_redis_url(f"redis+sentinel://ann:{PASSWORD}@h/m?sentinel_password={PASSWORD}")
    assert isinstance(url, RedisUrl)
    assert PASSWORD not in repr(url)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (f"redis://:{PASSWORD}/1@h:6379/0", "write redis://user:password@host:6379/0, with / # ? @ in the password as"),
        (f"redis://:{PASSWORD}?@h:6379/0", "write redis://user:password@host:6379/0"),
        (f"rediss://:{PASSWORD}#@h:6379/0", "write rediss://user:password@host:6379/0"),
        (f"redis://{PASSWORD}:no-port/0", "write redis://user:password@host:6379/0"),
        ("redis://h:0/0", "write redis://user:password@host:6379/0"),
        ("redis://h:65536/0", "write redis://user:password@host:6379/0"),
        ("redis://h/name", "write redis://user:password@host:6379/0"),
        ("redis://h1,h2/0", "write redis+sentinel://user:password@host1:26379,host2:26379/master_name/0"),
        ("redis+sentinel://h1,h2", "write redis+sentinel://user:password@host1:26379,host2:26379/master_name/0"),
        ("redis+sentinel://h1,,h2/m", "write redis+sentinel://"),
        ("rediss+sentinel://h/m/x", "write rediss+sentinel://"),
        ("unix://host/run/redis.sock", "write unix://user:password@/run/redis/redis.sock"),
        ("http://h", "write redis://"),
        (f"redis://ann:1?{PASSWORD}&x@h:6379/0", "write redis://user:password@host:6379/0"),
        (f"redis://h?{PASSWORD}-x", "unknown option in the URL; use db"),
        ("redis://h?kee=1", "unknown option 'kee'; use db"),
        ("redis://h?ssl_ca_certs=/x", "unknown option 'ssl_ca_certs' of redis://; use db"),
        ("redis://h?sentinel_password=x", "unknown option 'sentinel_password' of redis://; use db"),
        ("redis://h?db=1&db=2", "option 'db' is repeated; write it once"),
        ("redis://h?db=x", "option 'db' is not a number; write db=0"),
        ("rediss://h?ssl_check_hostname=maybe", "option 'ssl_check_hostname' is not true or false"),
    ],
)
def test_a_mistake_has_a_fix_and_no_password(text: str, fix: str) -> None:
    with pytest.raises(InvalidRedisUrl) as raised:
        parse_redis_url(text)
    assert fix in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_options_of_others_are_accepted() -> None:
    assert parse_redis_url("redis://h?key=a&db=1", ("key",)).options == {"key": "a", "db": "1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("redis+sentinel://x", True), ("unix:///x", True), ("redis", False), ("/var/lib/redis://x", False), ("", False)],
)
def test_a_redis_url_is_recognized_by_its_scheme(text: str, expected: bool) -> None:
    assert is_redis_url(text) is expected
