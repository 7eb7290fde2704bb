"""Where STS credentials come from, and the cache that keeps them fresh."""
