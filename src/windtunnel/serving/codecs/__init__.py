"""Bytes to tensors and back: TensorFlow Serving's JSON, and what the container rewrites into it."""
