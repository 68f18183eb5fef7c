"""Messages of TensorFlow Serving, see `windtunnel.serving.tfs_api`."""

from windtunnel.serving.tfs_api.descriptors import fill_messages

fill_messages(globals(), "tensorflow_serving/apis/model_management.proto")
