"""TensorFlow Serving's own binary in the place of our model servers, where it is installed."""
