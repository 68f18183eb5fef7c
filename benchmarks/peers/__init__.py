"""The peers that are measured beside Windtunnel, each written as its own users would write it."""
