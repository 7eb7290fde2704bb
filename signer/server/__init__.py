"""The process: listeners, TLS, signals, systemd, draining."""
