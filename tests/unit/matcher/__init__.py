"""The container's loop, leases and snapshots, on fakes."""
