"""The public routes, one file for each resource."""
