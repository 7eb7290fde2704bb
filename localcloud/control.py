"""What tests and the demo ask of the local cloud itself, under `/-/` on each of its servers."""

from __future__ import annotations

from aiohttp import web

from localcloud.faults import Faults
from localcloud.objects import Objects
from localcloud.oss import describe
from localcloud.world import Bucket, World


class Control:
    def __init__(self, world: World, objects: Objects, faults: Faults) -> None:
        self._world, self._objects, self._faults = world, objects, faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/-/counts", self.counts),
            web.get("/-/objects", self.objects),
            web.post("/-/buckets", self.create_bucket),
            web.get("/-/faults", self.show_faults),
            web.put("/-/faults", self.set_faults),
            web.delete("/-/faults", self.clear_faults),
        ]

    async def counts(self, _request: web.Request) -> web.Response:
        return web.json_response(self._world.counts)

    async def objects(self, request: web.Request) -> web.Response:
        return web.json_response([describe(each) for each in self._objects.list(request.query.get("bucket", ""))])

    async def create_bucket(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        bucket = Bucket(wanted["name"], wanted["region"], tuple(wanted.get("cors_origins", ["*"])))
        self._world.buckets[bucket.name] = bucket
        return web.json_response({"name": bucket.name, "region": bucket.region}, status=201)

    async def show_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.active)

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.set(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return await self.show_faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._faults.set({})
        return await self.show_faults(request)
