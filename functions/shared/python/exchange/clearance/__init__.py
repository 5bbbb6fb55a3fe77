"""Clearance: what stands between a held withdrawal and whoever pays it: screening, review, calling off."""
