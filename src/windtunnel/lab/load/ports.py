"""Whether a port can be listened on, and a host be found, asked before others find out."""

import errno
import socket


def in_use(host: str, port: int) -> str | None:
    """Return why nobody could listen there, if so."""
    error = _trouble(host, port)
    return None if error is None else _why(error)


def refusal(host: str, port: int) -> str | None:
    """Return why workers could not join there, and what to do about it, if so."""
    error = _trouble(host, port)
    if error is None:
        return None
    advice = "--bind-host is an address of this machine, or 0.0.0.0 for all of them."
    if error.errno == errno.EADDRINUSE:
        advice = "Another master may be there: name another --master-port, for master and workers."
    elif error.errno == errno.EACCES:
        advice = "Name a --master-port above 1023, for master and workers."
    return f"Workers cannot join at {host}:{port}: {_why(error)}. {advice}"


def unknown(host: str) -> str | None:
    """Return why a host's name leads nowhere, if so."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        # What cannot be a name at all is refused by its encoding.
        return _why(error) if isinstance(error, OSError) else "it is no name of a host"
    return None


def _trouble(host: str, port: int) -> OSError | None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # What is left of connections that ended is not in the way.
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return error
    return None


def _why(error: OSError) -> str:
    # Python says in brackets what it was at.
    return (error.strerror or str(error)).partition(" (")[0]
