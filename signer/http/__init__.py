"""HTTP without routes: adapters to aiohttp, dispatch, router, problem bodies, request log, CORS."""
