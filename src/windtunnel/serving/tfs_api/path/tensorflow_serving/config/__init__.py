"""TensorFlow Serving's messages, see `windtunnel.serving.tfs_api`."""
