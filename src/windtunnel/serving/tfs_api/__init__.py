"""TensorFlow Serving's messages under their own name, without the package that needs TensorFlow.

`tensorflow-serving-api` requires the full `tensorflow`, which cannot stand beside `tensorflow-cpu`.
So the descriptors of its messages are kept here (NOTICE says from which version), and `path` holds
a package `tensorflow_serving` whose modules are made from them
([ADR 15](docs/adr/0015-tensorflow-servings-messages.md)).

Rule: the official package, wherever it is installed, is the one that is found.
"""

import sys
from pathlib import Path

PATH = str(Path(__file__).parent / "path")


def offer() -> None:
    """Let `import tensorflow_serving` find these modules, where nothing else brings them.

    Called by what runs a user's code, once its path is complete. An installed Windtunnel offers
    them to every program of its environment already, by a line in a .pth file.
    """
    if PATH in sys.path:
        sys.path.remove(PATH)
    # Behind everything else.
    sys.path.append(PATH)
