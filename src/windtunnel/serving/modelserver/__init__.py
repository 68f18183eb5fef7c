"""One process that serves models over HTTP: TensorFlow Serving's REST API and the container's."""
