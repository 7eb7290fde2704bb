"""HTTP at the edge, on aiohttp: requests become wishes, signed uploads become answers, problems become bodies."""
