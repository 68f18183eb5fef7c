"""The U-Net in a bare loop: no HTTP, no JSON. What it costs is the least there is.

For each line with a number of seconds it prints one of JSON: inferences a second and CPU-seconds an
inference, with `THREADS` callers.
"""

import json
import os
import sys
import threading
import time

import numpy as np
import tensorflow as tf

model = tf.saved_model.load(os.environ["MODEL_DIR"])
predict = model.signatures["serving_default"]
inputs = tf.constant(np.random.default_rng(0).integers(0, 255, (1, 256, 256, 3)), tf.float32)
predict(inputs=inputs)


def loop(counts: list[int], number: int, end_s: float) -> None:
    """Infer until the time is over."""
    while time.perf_counter() < end_s:
        next(iter(predict(inputs=inputs).values())).numpy()
        counts[number] += 1


for line in sys.stdin:
    counts = [0] * int(os.environ.get("THREADS", "1"))
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    threads = [
        threading.Thread(target=loop, args=(counts, number, begin_s + float(line)))
        for number in range(len(counts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = sum(counts)
    measured = {
        "rate_rps": done / (time.perf_counter() - begin_s),
        "cpu_s": (time.process_time() - begin_cpu_s) / done,
    }
    print(json.dumps(measured), flush=True)
