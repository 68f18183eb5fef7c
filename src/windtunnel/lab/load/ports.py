"""Whether a port can be listened on, asked before somebody else's server is."""

import socket


def in_use(host: str, port: int) -> str | None:
    """Return why nobody could listen there, if so."""
    try:
        # What is left of connections that ended is not in the way.
        socket.create_server((host, port)).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
