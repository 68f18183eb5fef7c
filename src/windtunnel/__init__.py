"""Windtunnel tests, tunes and sizes ML inference endpoints on the ground, before they fly.

Importing this package does nothing but name its version.
"""

__version__ = "0.1.0"
