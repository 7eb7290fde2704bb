"""The admin listener: health, readiness, metrics, reload and the status page."""
