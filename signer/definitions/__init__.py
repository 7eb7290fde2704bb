"""The YAML that ops edit: its typed model, its text with places, and the registry that requests are answered from."""
