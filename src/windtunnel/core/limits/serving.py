"""Limits of containers, of the compiler, and of the memory that either keeps."""

from windtunnel.core.limits.sizes import GIB, KIB, MIB

# --- Model server, `serving` -------------------------------------------------------------------
# A tensor request's JSON may nest this deep: TensorFlow's own limit is 254 dimensions, RapidJSON's
# recursion none; simdjson refuses beyond 1,024. A 4-D picture needs 6.
TENSOR_JSON_DEPTH_MAX = 64
# simdjson keeps about 16 bytes for each byte of the largest text a parser has seen; a thread's
# own parser is used up to the largest body that InvokeEndpoint takes.
PARSER_KEPT_BYTES_MAX = 8 * MIB
# Below this, the many steps of reading digits by columns cost more than simdjson (measured
# 2026-11-22: 0.18 against 0.15 ms at 64 KB, 0.35 against 0.48 ms at 157 KB).
DIGITS_TEXT_BYTES_MIN = 96 * KIB
# Named inputs in shorter texts are read at once by the strict reader: it takes 0.3 ms for this much
# (2026-11-25), and small requests should not pay for a second try.
NAMED_TEXT_BYTES_MIN = 16 * KIB
# Brackets and commas of the shapes that were seen last: a U-Net's picture has 0.5 MB of them.
SKELETON_KEPT_BYTES_MAX = 4 * MIB
SKELETON_KEPT_COUNT_MAX = 4
# What an error message repeats of the value that it speaks of. Guess: one line of a log.
ERROR_VALUE_LENGTH_MAX = 120
# The head of an .npy file: numpy's own default (numpy.lib.format, max_header_size).
NPY_HEADER_BYTES_MAX = 10_000
# Compressed members of one gzip body: clients write one, and each costs a copy of what follows it.
# Guess.
GZIP_MEMBER_COUNT_MAX = 16
# The container's own limit on a body: client_body_buffer_size and subrequest_output_buffer_size
# are 100m in the original's nginx.conf; what is greater, its njs never sees.
CONTAINER_BODY_BYTES_MAX = 100 * MIB
# What a gRPC error says: clients take 8 KiB of metadata (grpc.max_metadata_size), in which each
# byte beyond ASCII is written as three.
GRPC_DETAILS_BYTES_MAX = 2 * KIB
# Requests that wait for one model server's threads: nginx's worker_connections in the original.
MODEL_SERVER_QUEUE_COUNT_MAX = 2048
# Their bodies: ten of the largest. Guess.
MODEL_SERVER_QUEUE_BYTES_MAX = 1 * GIB
# Threads of one model server that decode, infer and encode. TensorFlow Serving has 4 a core for
# REST; here each also holds the tensors of its request, and a U-Net's are tens of MB.
MODEL_SERVER_THREADS_PER_CORE = 2
MODEL_SERVER_THREAD_COUNT_MAX = 16
# With batching, threads that wait for their batch hold no core: as many as TensorFlow Serving has
# for REST (http_num_threads in its server.h), or no batch of eight would fill on two cores.
BATCHING_THREADS_PER_CORE = 4
BATCHING_THREAD_COUNT_MAX = 64
# A batch thread looks up at least this often: a variable may ask for more than a wait can take.
BATCH_WAIT_S_MAX = 3600.0
# "Batch limits number of concurrent requests" (the container's tfs_utils.py, SAGEMAKER_BATCH).
BATCH_TRANSFORM_ENQUEUED_MAX = 100_000_000
# Model servers of one container. Each is a process with the model's weights: 64 is the greatest
# vCPU count of the workshop's instance. Guess.
MODEL_SERVER_COUNT_MAX = 64
# `find_models` walks an archive that passed ARCHIVE_MEMBER_COUNT_MAX; folders this deep, no deeper.
MODEL_DIRECTORY_DEPTH_MAX = 32
# What a warm-up feeds: open dimensions at this size (a U-Net of four poolings needs 16 at least),
# and no more elements than a large picture has.
WARM_UP_OPEN_SIZE = 32
WARM_UP_ELEMENT_COUNT_MAX = 16 * MIB
# A graph that takes longer is left to TensorFlow's pool of inter-op threads: to be handed over
# costs it 20 µs, measured on 2026-11-26, which is a hundredth of this.
POOL_CHOICE_RUN_S_MAX = 0.002
# One input of a compilation: a batch of 64 pictures of 1024 x 1024. Guess.
COMPILE_INPUT_ELEMENTS_MAX = 64 * 1024 * 1024 * 4
# An archive that is compiled, unpacked: the fetcher's own limit for one that is served is larger,
# because nothing of that is held in memory twice. Guess.
COMPILE_UNPACKED_BYTES_MAX = 20 * GIB
# Samples to quantise by. NNCF's default subset is 300; it takes 0.3 s for each of a U-Net's, and
# the mask of one that was quantised by 24 is as good as the tolerance wants (2026-11-26).
CALIBRATION_SAMPLE_COUNT_MAX = 100
# One line of what a compiler process tells: a reason may repeat what a converter said. Guess.
COMPILE_EVENT_BYTES_MAX = MIB
# Artefacts that are kept for a second identical job: each has a model's size. Guess.
COMPILE_CACHE_COUNT_MAX = 32
# A compiled model's manifest: a signature has some hundred bytes a tensor. Guess.
MANIFEST_BYTES_MAX = 4 * MIB
# Shapes that a compiled model is kept ready for besides its own: each is a compiled graph of the
# size of its weights. Guess.
SPECIALISED_SHAPES_COUNT_MAX = 8
# Of these, those that differ only in their rows. With batching of up to 32, a graph for each count
# would push out another at every turn, and each takes 0.07 s to make; one for any number is as
# fast (a U-Net at 256 x 256, 2 cores, 2026-11-26). Guess.
SPECIALISED_ROWS_COUNT_MAX = 4
# Script workers of one container: the workshop starts 64, each a process of its own. Guess.
SCRIPT_WORKER_COUNT_MAX = 256
# SAGEMAKER_GUNICORN_THREADS of one worker: gunicorn's page advises 2 to 4 a core. Guess.
SCRIPT_THREAD_COUNT_MAX = 256
# Threads that stand in for a worker's greenlets, of which gunicorn would have 1,000: twice the
# threads of a model server, so that one worker keeps two of them busy.
SCRIPT_GREENLET_COUNT_MAX = 32
# How often a worker looks for requests that take too long; the time-outs are whole seconds.
SCRIPT_SWEEP_INTERVAL_S = 0.25
# How long the other requests of a worker that is to be replaced may take. Guess.
SCRIPT_RETIRE_GRACE_S = 3.0
# What a script worker may take at least, however little is free: its threads' stacks count, 8 MiB
# each, and a machine so full has other troubles. Guess.
SCRIPT_ALLOWANCE_BYTES_MIN = 1 * GIB
# Of a script so many characters are looked through for paths that are not here; the longest module
# of Python's own library has 0.25 million.
SCRIPT_TEXT_LENGTH_MAX = 1_000_000
# Sets of packages that a home keeps for scripts' requirements.txt, besides those in use. Guess.
SCRIPT_PACKAGES_COUNT_MAX = 8
# Of what pip writes, so many last lines are looked through for the reason why it failed.
PIP_LINES_KEPT = 50
# From a time-out until a worker that cannot even say so ends itself. Guess.
SCRIPT_WATCHDOG_MARGIN_S = 2.0
# Why a container could not start, as it reports it: FailureReason takes 1,024 characters
# (SageMaker API reference, DescribeEndpoint), and its log has the whole of it.
FAILURE_REASON_LENGTH_MAX = 1024
# How often a TensorFlow Serving that starts is asked whether it serves; the original asks every 5 s
# (serve.py), which a start need not wait for here.
TFS_POLL_INTERVAL_S = 0.1
# From the end of the grace that the model servers have until their leader kills them.
LEADER_STOP_MARGIN_S = 1.0
# One line on the zygote's control socket; an environment is the largest part, and Linux allows
# 128 KiB for one variable (MAX_ARG_STRLEN).
ZYGOTE_LINE_BYTES_MAX = 1 * MIB

# --- Many models in one container, `serving/multimodel` ----------------------------------------
# Without SAGEMAKER_SAFE_PORT_RANGE as many as the original's arithmetic makes of its own example,
# 9000-9999 (README.md, "Deploying to Multi-Model Endpoint"; it says 499).
MULTI_MODEL_COUNT_MAX = 449
# The newest image gives a model 55 s, so that the platform's 60 s do not end first (its
# python_service.py).
MODEL_LOAD_TIMEOUT_S = 55
# A model's own processes wait for so much longer, so that it is the whole that is given up. Guess.
MODEL_LOAD_MARGIN_S = 30.0
# What /metrics calls a model; S3's longest key is 1,024 bytes.
MODEL_LABEL_LENGTH_MAX = 1024
# POST /models has a name and a path: S3's longest key is 1,024 bytes, Linux's longest path 4,096.
# Escaped it still fits into a datagram of twice STATUS_LINE_BYTES_MAX.
MODEL_LOAD_BODY_BYTES_MAX = 16 * KIB
# One page of GET /models, as Multi Model Server has it (its management API, `limit`).
MODEL_LIST_PAGE_COUNT = 100

# --- Memory -----------------------------------------------------------------------------------
# What a process that handles bodies keeps of its freed memory: some forty of InvokeEndpoint's
# largest bodies. Beyond it, glibc gives back to the kernel.
FREED_MEMORY_KEPT_BYTES = 256 * MIB
