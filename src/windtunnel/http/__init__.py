"""HTTP/1.1 for this machine: one server and one client protocol, by callbacks, for the hot path."""
