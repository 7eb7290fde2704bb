"""The status page: one page for people, the same as JSON for programs."""
