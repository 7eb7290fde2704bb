"""A cloud in which the commands of the page were run, and a signer with the definitions of the page."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.callers.local_wechat import SECRET, LocalWeChat
from tests.from_zero.aliyun_cli import cname_of
from tests.from_zero.page import APP, APP_ID, DEFINITIONS, blocks, calls, option
from tests.harness.local_cloud import Cloud
from tests.harness.signer import Signer, run_command, signer


@dataclass
class Place:
    """The cloud after the steps of the page, and a signer's files."""

    cloud: Cloud
    wechat: LocalWeChat
    directory: Path
    documented: Path = field(init=False)
    """The definitions of the page, word for word."""
    placed: Path = field(init=False)
    """The same with the addresses of the local cloud."""
    environment: Path = field(init=False)

    def __post_init__(self) -> None:
        self.documented = self._write("documented.yaml", DEFINITIONS)
        self.environment = self._write("environment", blocks("text")[0].replace("the-AppSecret", SECRET))
        document = yaml.safe_load(DEFINITIONS)
        document["server"] |= {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"}
        document["credentials"]["uploader"]["endpoint"] = self.cloud.metadata
        document["apps"][APP_ID]["domain"] = f"http://localhost:{self.cloud.oss.rpartition(':')[2]}"
        document["apps"][APP_ID]["callers"]["endpoint"] = self.cloud.wechat
        document["apps"][APP_ID]["max_size"] = "1KiB"
        self.placed = self._write("placed.yaml", yaml.safe_dump(document))

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return path

    async def configure(self, path: str, settings: Any) -> None:
        async with self.cloud.session.put(f"{self.cloud.oss}/-/{path}", json=settings) as response:
            assert response.status < 300, await response.text()

    async def follow_the_page(self) -> None:
        """Do in the local cloud what the commands do in Alibaba's, with their arguments."""
        [make] = calls("ossutil mb")
        await self.cloud.create_bucket(make.words[0].removeprefix("oss://"), make.options["region"])
        for call in calls("ossutil api put-cname"):
            domain = cname_of(call.options["cname-configuration"])["Domain"]
            await self.configure(f"domains/{domain}", {"bucket": call.options["bucket"]})
        await self.configure("domains/localhost", {"bucket": APP["bucket"]})
        role = option("ram CreateRole", "RoleName")
        trust = json.loads(option("ram CreateRole", "AssumeRolePolicyDocument"))
        policy = json.loads(option("ram CreatePolicy", "PolicyDocument"))
        await self.configure(f"roles/{role}", {"trust_policy": trust, "policy": policy})
        await self.configure("instance-role", {"name": option("ecs RunInstances", "RamRoleName")})
        await self.wechat.set_app(APP_ID, secret=SECRET)

    async def run_ours(self, command: str, config: Path, *arguments: str) -> str:
        """Run one of our commands of the page, and return its output."""
        words = [word for word in shlex.split(command) if not word.startswith("/opt/")]
        replaced = {"/etc/oss-signer/signer.yaml": config, "/etc/oss-signer/environment": self.environment}
        result = await run_command(*[replaced.get(word, word) for word in words], *arguments)
        assert result.status == 0, result.out + result.err
        assert SECRET not in result.out + result.err
        return result.out + result.err

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Signer]:
        """Run a signer with the definitions of the page and the environment file."""
        name, _, value = self.environment.read_text(encoding="utf-8").strip().partition("=")
        async with signer(self.cloud.session, self.placed, environ={name: value}) as service:
            yield service
