"""A SavedModel behind Triton through PyTriton: `server.py PORT documented|expert`.

As its quick start shows: an inference function under `@batch`, `ModelConfig(max_batch_size=…)`.
Triton reads and writes the JSON itself, in C++. The expert has two instances of the function, so
that one can infer while the other is fed, and no batching, which on these cores only waits.
"""

import sys

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from served_model import ServedModel

port, kind = int(sys.argv[1]), sys.argv[2]
model = ServedModel()
# Triton wants a dimension besides the batch.
source_shape, target_shape = model.source_shape or (1,), model.target_shape or (1,)


@batch
def infer(**inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Infer for a batch."""
    (source,) = inputs.values()
    outputs = model.predict(source.reshape(-1, *model.source_shape))
    return {model.target: outputs.reshape(-1, *target_shape)}


config = TritonConfig(
    http_address="127.0.0.1", http_port=port, grpc_address="127.0.0.1", grpc_port=port + 1,
    allow_metrics=False, log_verbose=0,
)  # fmt: skip
with Triton(config=config) as triton:
    triton.bind(
        model_name="model",
        infer_func=infer if kind == "documented" else [infer, infer],
        inputs=[Tensor(name=model.source, dtype=np.float32, shape=source_shape)],
        outputs=[Tensor(name=model.target, dtype=np.float32, shape=target_shape)],
        config=ModelConfig(max_batch_size=128)
        if kind == "documented"
        else ModelConfig(max_batch_size=1, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
    )
    triton.serve()
