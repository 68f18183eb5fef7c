"""Whether a port can be listened on, asked before Locust does."""

import socket


def refusal(host: str, port: int) -> str | None:
    """Return why workers could not join there, if so."""
    try:
        # As the master's socket: what is left of connections that ended is not in the way.
        socket.create_server((host, port)).close()
    except OSError as error:
        return (
            f"Workers cannot join at {host}:{port}: {error.strerror or error}. Another master may "
            "be there: name another --master-port, for master and workers."
        )
    return None
