"""Parse the URL of a Redis: `redis://`, `rediss://`, `unix://`, or sentinels with `redis+sentinel://`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

_LOGIN = r"(?:(?P<login>[^/?#]*)@)?"
_DATABASE = r"(?:/(?P<database>[0-9]{0,5}))?"
_QUERY = r"(?:\?(?P<query>[^#@]*))?"
_SERVER = re.compile(rf"rediss?://{_LOGIN}(?P<place>(?P<hosts>[^/?#@,]*){_DATABASE}){_QUERY}", re.ASCII)
_SENTINELS = re.compile(
    rf"rediss?\+sentinel://{_LOGIN}(?P<place>(?P<hosts>[^/?#@]*)/(?P<master_name>[A-Za-z0-9._-]+){_DATABASE}){_QUERY}",
    re.ASCII,
)
_SOCKET = re.compile(rf"unix://{_LOGIN}(?P<place>(?P<path>/[^?#]+)){_QUERY}")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII)

_SERVER_EXAMPLE = "redis://user:password@host:6379/0"
_SENTINEL_EXAMPLE = "redis+sentinel://user:password@host1:26379,host2:26379/master_name/0"
_FORMS = {
    "redis": (_SERVER, 6379, _SERVER_EXAMPLE),
    "rediss": (_SERVER, 6379, f"rediss{_SERVER_EXAMPLE.removeprefix('redis')}"),
    "redis+sentinel": (_SENTINELS, 26379, _SENTINEL_EXAMPLE),
    "rediss+sentinel": (_SENTINELS, 26379, f"rediss{_SENTINEL_EXAMPLE.removeprefix('redis')}"),
    "unix": (_SOCKET, 0, "unix://user:password@/run/redis/redis.sock"),
}
"""By scheme: the form of the URL, the default port, and an example."""
SCHEMES = tuple(_FORMS)

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class InvalidRedisUrl(ValueError):
    """The text gives what is wrong and how to fix it. It quotes nothing that may be a part of a password."""


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where a Redis is, and how to log in."""

    scheme: str
    place: str
    """Hosts and path as written, without user and password."""
    hosts: tuple[tuple[str, int], ...]
    """Host and port of the server, or of each sentinel; none for a Unix socket."""
    socket_path: str
    master_name: str
    """The name of the master at the sentinels; empty without sentinels."""
    database: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    options: Mapping[str, str] = field(repr=False)

    @property
    def location(self) -> str:
        """Return the URL without user, password and options."""
        return f"{self.scheme}://{self.place}"

    @property
    def is_tls(self) -> bool:
        """Return whether the server and its sentinels use TLS."""
        return self.scheme.startswith("rediss")

    @property
    def checks_hostname(self) -> bool:
        """Return whether the certificate must be one for the host."""
        return _BOOLEANS[self.options.get("ssl_check_hostname", "true").lower()]


def is_redis_url(text: str) -> bool:
    """Return whether a text has the scheme of a Redis URL."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme in _FORMS


def parse_redis_url(url: str, other_options: Collection[str] = ()) -> RedisUrl:
    """Return the parts of a URL; its query may contain `other_options` as well as those of the connection.

    The form with sentinels is that of the Python packages redis-sentinel-url, redisvl and docket.

    Raises:
        InvalidRedisUrl: It is not the URL of a Redis, or an option is unknown or invalid.
    """
    scheme = url.partition("://")[0]
    form, default_port, example = _FORMS.get(scheme, (_SERVER, 0, _SERVER_EXAMPLE))
    match = form.fullmatch(url)
    hosts = None if match is None else _parse_hosts(match.groupdict().get("hosts"), default_port)
    if match is None or hosts is None:
        if form is _SERVER and "," in url:
            example = _SENTINEL_EXAMPLE
        fix = f"write {example}, with / # ? @ in the password as %2F %23 %3F %40"
        raise InvalidRedisUrl(f"this is not the URL of a Redis; {fix}")
    parts = match.groupdict(default="")
    username, _, password = (unquote(each) for each in parts["login"].partition(":"))
    options = _parse_options(parts["query"], scheme, other_options)
    return RedisUrl(
        scheme,
        parts["place"],
        hosts,
        unquote(parts.get("path", "")),
        parts.get("master_name", ""),
        int(options.get("db") or parts.get("database") or 0),
        username or None,
        password or None,
        options,
    )


def _parse_hosts(text: str | None, default_port: int) -> tuple[tuple[str, int], ...] | None:
    """Return hosts and ports, or None if one is invalid."""
    if text is None:
        return ()
    hosts = []
    for each in (text or "localhost").split(","):
        match = _HOST.fullmatch(each)
        port = default_port if match is None or match["port"] is None else int(match["port"])
        if match is None or not 0 < port < 2**16:
            return None
        hosts.append((match["name"].strip("[]"), port))
    return tuple(hosts)


def _parse_options(query: str, scheme: str, others: Collection[str]) -> dict[str, str]:
    known = ["db", *others]
    known += _TLS_OPTIONS if scheme.startswith("rediss") else ()
    known += _SENTINEL_OPTIONS if scheme.endswith("+sentinel") else ()
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            # Anything but an identifier may be a part of a password.
            shown = f"'{name}'" if name.isidentifier() else "in the URL"
            hint = f" of {scheme}://" if name in (*_TLS_OPTIONS, *_SENTINEL_OPTIONS) else ""
            raise InvalidRedisUrl(f"unknown option {shown}{hint}; use {', '.join(sorted(known))}")
        if name in options:
            raise InvalidRedisUrl(f"option '{name}' is repeated; write it once")
        options[name] = value
    if not re.fullmatch("[0-9]{1,5}", options.get("db", "0"), re.ASCII):
        raise InvalidRedisUrl("option 'db' is not a number; write db=0")
    if options.get("ssl_check_hostname", "true").lower() not in _BOOLEANS:
        raise InvalidRedisUrl("option 'ssl_check_hostname' is not true or false; write one of them")
    return options
