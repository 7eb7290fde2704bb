"""The admin listener: health, readiness, metrics, reload, definitions and the status page."""
