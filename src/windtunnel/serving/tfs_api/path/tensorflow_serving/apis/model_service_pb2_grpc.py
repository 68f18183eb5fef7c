"""Services of TensorFlow Serving, see `windtunnel.serving.tfs_api`."""

from windtunnel.serving.tfs_api.descriptors import fill_services

fill_services(globals(), "tensorflow_serving/apis/model_service.proto")
