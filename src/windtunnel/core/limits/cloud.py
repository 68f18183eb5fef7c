"""Limits of the local cloud and of the HTTP that it speaks."""

from windtunnel.core.limits.sizes import GIB, KIB, MIB

# --- HTTP in, `http/server.py` ---------------------------------------------------------------
# nginx allows 4 buffers of 8 KiB for a request's head (large_client_header_buffers), Apache
# 8 KiB a line, node 16 KiB in all. A presigned S3 URL with a session token needs about 3 KiB.
HEAD_BYTES_MAX = 32 * KIB
# Apache's LimitRequestFields is 100.
HEADER_COUNT_MAX = 128
# Head and body up to this size leave as one buffer, larger ones as separate buffers of one writev.
# Copying 16 KiB costs about a microsecond.
JOIN_BYTES_MAX = 16 * KIB
# From the first byte of a request to the end of its head; nginx's client_header_timeout is 60 s.
# Shorter, because here the client is on the same machine.
HEAD_TIMEOUT_S = 20.0
# Silence between two pieces of a body; nginx's client_body_timeout is 60 s.
BODY_STALL_TIMEOUT_S = 60.0
# A client that does not take its answer, or the last of it before a tunnel's end; nginx's
# send_timeout is 60 s.
WRITE_STALL_TIMEOUT_S = 60.0
# A connection with nothing to say. boto3 keeps its pooled connections for as long as they live;
# AWS's load balancers close after 60 s by default.
KEEP_ALIVE_TIMEOUT_S = 75.0
# Requests read ahead on one connection. AWS's clients never pipeline; RFC 9112, 9.3.2 allows it.
PIPELINE_DEPTH_MAX = 16
# After an early answer (a body over its limit, say) the rest of the body is read and dropped, so
# that the client sees the answer; beyond this the connection is closed under it. Guess.
BODY_DISCARD_BYTES_MAX = 64 * MIB
# Connections to one gateway: nginx's default is 512 a worker, the container's 2,048.
CONNECTION_COUNT_MAX = 2048

# --- The proxy, `cloud/gateway/proxy` ---------------------------------------------------------
# From the 200 to a tunnel's first bytes, and from there to the end of its TLS handshake: asyncio's
# default is 60 s. Shorter, because here the client is on the same machine.
TUNNEL_FIRST_BYTES_TIMEOUT_S = 20.0
TLS_HANDSHAKE_TIMEOUT_S = 20.0
# Leaf certificates: a command under `run` rarely takes a day, and a stolen one is worth no more.
LEAF_LIFETIME_S = 24 * 3600.0
# One is renewed for new tunnels when it has no more than this left.
LEAF_RENEWAL_S = 12 * 3600.0
# A clock that was set back a little must not make certificates not yet valid.
CERTIFICATE_BACKDATE_S = 3600.0
# The authority itself lies in the home for as long as the home may live, and is made anew in time.
AUTHORITY_LIFETIME_S = 3650 * 24 * 3600.0
AUTHORITY_RENEWAL_S = 30 * 24 * 3600.0
# Hosts whose certificate is kept ready, 40 KB each: AWS has some 400 services, and each bucket is
# a host of its own. Guess.
LEAF_COUNT_MAX = 512
# Connections that are relayed to allowed hosts at once: pip opens one, browsers up to 6 a host.
RELAY_COUNT_MAX = 128
# To reach an allowed host, its name's resolution included.
RELAY_CONNECT_TIMEOUT_S = 15.0
# Silence in both directions of a relayed connection: AWS's load balancers close after 350 s (NLB).
RELAY_IDLE_TIMEOUT_S = 350.0
# Hosts that one `run` may allow, so that its proxy's URL stays below HEAD_BYTES_MAX. Guess.
ALLOWED_HOST_COUNT_MAX = 64

# --- Requests of the AWS API, `cloud/gateway` -------------------------------------------------
# Control-plane requests are small; SageMaker's largest documented ones stay under 1 MiB.
CONTROL_BODY_BYTES_MAX = 1 * MIB
# JSON nested deeper than this is refused; the deepest input shape of the services here is under 20.
CONTROL_JSON_DEPTH_MAX = 64
# What the gateway's loop reads and writes itself: a request of this size, or an answer's list of so
# many parts, takes it a millisecond (2026-11-25: 9,362 log events 13 ms). More goes to a thread.
API_INLINE_BYTES_MAX = 64 * KIB
API_INLINE_COUNT_MAX = 500
# A piece of a forwarded body this large is a turn (`gateway/turns.py`): a quarter of what uvloop
# reads at once, so that what comes from a fast client always takes turns.
FORWARD_TURN_BYTES = 64 * KIB
# Sets of authorities that a home keeps for what runs inside it, 250 KB each: more than anybody has
# company networks. Guess.
TRUST_BUNDLE_COUNT_MAX = 8
# Control-plane requests being answered at once; the data plane has limits of its own. Guess.
CONTROL_IN_FLIGHT_MAX = 256
# Bodies that are coming in and kept, over all connections: 240 of the largest are 1.4 GiB.
GATEWAY_HELD_BYTES_MAX = 2 * GIB
# Parameters of one query-protocol request: a PutMetricData of 150 metrics with all their 30
# dimensions has 9,500.
QUERY_FIELD_COUNT_MAX = 10_000
# Values longer than this are refused for their length and not matched against a pattern; the
# longest maximum beside a pattern in SageMaker's hosting operations is 8,192 (NextToken).
PATTERN_CHARACTERS_MAX = 8192
# As much of a wrong value as its error repeats; the longest name AWS allows is 63, an ARN 2,048.
PRINTED_VALUE_CHARACTERS_MAX = 2048
# "The maximum length of all keys and values in the map, combined, is 32 KB" (botocore's page on
# ContainerDefinition).
MODEL_ENVIRONMENT_BYTES_MAX = 32 * KIB
# InvokeEndpoint's Body and answer: "max": 6291456 in botocore's sagemaker-runtime model.
INVOKE_BODY_BYTES_MAX = 6_291_456
# A container's answer is bounded by the same shape (BodyBlob) in that model.
INVOKE_ANSWER_BYTES_MAX = INVOKE_BODY_BYTES_MAX
# Clock skew allowed in a signature: 5 minutes, S3 15 minutes (RequestTimeTooSkewed).
SIGNATURE_SKEW_S = 300.0
SIGNATURE_SKEW_S3_S = 900.0

# "The maximum size of a session token is 4096" characters (STS, "Welcome": "make no assumptions").
# Sessions of the latest requests are remembered, so that their tokens are not read again. Guess.
SESSION_TOKEN_BYTES_MAX = 4 * KIB
SESSION_CACHE_COUNT_MAX = 256

# --- IAM, `cloud/foundation` -------------------------------------------------------------------
# IAM's quotas ("IAM and AWS STS quotas"): a trust policy has 2,048 characters, a role's inline
# policies 10,240 together, white space not counted; 10 managed policies and 50 tags a role.
TRUST_POLICY_CHARACTERS_MAX = 2048
INLINE_POLICIES_CHARACTERS_MAX = 10_240
ATTACHED_POLICY_COUNT_MAX = 10
IAM_TAG_COUNT_MAX = 50

# --- Invocations, `cloud/router` -------------------------------------------------------------
# "A customer's model containers must respond to requests within 60 seconds" (SageMaker docs,
# "Use your own inference code with hosting services").
MODEL_TIMEOUT_S = 60.0
# As much of a container's error as an answer repeats; the log has the rest. Guess.
MODEL_ERROR_MESSAGE_BYTES_MAX = 4 * KIB
# In flight and waiting for one endpoint. The workshop drives 240 users at once; four times that.
INVOKE_QUEUE_COUNT_MAX = 1000
# 240 bodies of the model's largest size are 1.4 GiB; the workshop's are 0.8 MB. Guess.
INVOKE_QUEUE_BYTES_MAX = 1 * GIB
# An idle connection to a server that is not ours is dropped before gunicorn's own keep-alive of
# 2 s would close it under a request.
FOREIGN_IDLE_TIMEOUT_S = 1.5

# --- Multi-model endpoints, `cloud/multimodel` -------------------------------------------------
# For so long AWS tells clients to retry while a model is loaded (developer guide, "Invoke a
# Multi-Model Endpoint": up to 360 seconds); the container's own time-out is shorter.
MODEL_LOAD_ANSWER_TIMEOUT_S = 360.0
# Requests in flight to the one instance that holds a model, before another loads it, too. AWS says
# that it does so, and not when. Guess: so many as keep a model server's threads busy.
MODEL_HOLDER_OUTSTANDING_MAX = 8

# --- SageMaker, `cloud/sagemaker` --------------------------------------------------------------
# Models, configs and endpoints of one home, each: they are kept in memory (1 KB each). Guess; AWS's
# quotas are per account and lower.
RESOURCE_COUNT_MAX = 10_000
# Instances of one endpoint: more processes than a machine with 64 cores can feed. Guess.
ENDPOINT_INSTANCE_COUNT_MAX = 64

# --- Compilation jobs, `cloud/jobs` -------------------------------------------------------------
# Compilers at once: they measure what they make, and two on one machine would measure each other.
COMPILATION_COUNT_MAX = 1
# Jobs that wait for their turn: at a minute each, the last of so many begins in an hour. Guess.
COMPILATION_QUEUE_COUNT_MAX = 50
# "The default value is 1 day. The maximum value is 28 days" (botocore's page on StoppingCondition,
# `MaxRuntimeInSeconds`).
COMPILATION_RUNTIME_S = 86_400
COMPILATION_RUNTIME_S_MAX = 28 * 86_400
# From SIGTERM to SIGKILL for a compiler that is to stop. Guess.
COMPILATION_STOP_GRACE_S = 5.0
# Logs of jobs, of which the oldest go when one ends. Guess.
COMPILATION_LOG_COUNT_MAX = 200

# --- The store, `cloud/store` ------------------------------------------------------------------
# Commits that wait for the disk; they share fsyncs, so that 1,000 of them take milliseconds.
STORE_QUEUE_COUNT_MAX = 1000

# --- Metrics, `cloud/cloudwatch` ---------------------------------------------------------------
# "Data points with a period of less than 60 seconds are available for 3 hours … 60 seconds …
# 15 days … 300 seconds … 63 days … 3600 seconds … 455 days" (CloudWatch, GetMetricStatistics).
METRIC_SECONDS_KEPT_S = 3 * 3600
METRIC_MINUTES_KEPT_S = 15 * 24 * 3600
METRIC_FIVE_MINUTES_KEPT_S = 63 * 24 * 3600
METRIC_HOURS_KEPT_S = 455 * 24 * 3600
# "The maximum number of data points returned from a single call is 1,440" (the same page).
METRIC_DATAPOINT_COUNT_MAX = 1440
# "as many as 500 different metrics in a single request, with a total of as many as 100,800 data
# points" (CloudWatch, GetMetricData).
METRIC_QUERY_COUNT_MAX = 500
METRIC_DATA_DATAPOINT_COUNT_MAX = 100_800
# "Up to 500 results are returned for any one call" (CloudWatch, ListMetrics).
METRIC_PAGE_COUNT_MAX = 500
# "limited to no more than 1000 different metrics", "up to 150 values per metric", "Values must be
# in the range of -2^360 to 2^360" (CloudWatch, PutMetricData).
METRIC_PUT_COUNT_MAX = 1000
METRIC_PUT_VALUE_COUNT_MAX = 150
METRIC_VALUE_MAX = 2.0**360
# "as much as two weeks before the current date, and as much as 2 hours after" (the same page).
METRIC_PUT_AGE_S_MAX = 14 * 24 * 3600
METRIC_PUT_AHEAD_S_MAX = 2 * 3600
# Metrics that a home keeps; AWS has no such bound. An endpoint has 11. Guess.
METRIC_COUNT_MAX = 10_000
# A metric that was silent for so long makes room for a new one, when there are as many as may be:
# longer than the past three hours that ListMetrics tells apart (RecentlyActive).
METRIC_SILENT_S = 4 * 3600
# Rows age faster than on AWS when their file is larger than this. A variant with 100 requests a
# second, day and night, fills 0.6 MB an hour, 0.2 GB in 15 days (2026-11-25).
METRIC_FILE_BYTES_MAX = 1 * GIB
# Bins of one histogram; see `cloudwatch/distribution.py` for what that means. 100 KB in memory.
METRIC_BIN_COUNT_MAX = 8192
# Seconds of variants that wait for the disk; 16 bytes for each of their requests. Beyond it the
# oldest are lost: a disk that hangs for minutes loses metrics, not requests.
METRIC_UNSAVED_COUNT_MAX = 1000
# Between two writes: what a kill -9 may cost.
METRIC_FLUSH_INTERVAL_S = 1.0
# Variants whose totals are kept for Prometheus, 0.5 KB each; ten times what anybody has run. Guess.
METRIC_TOTAL_COUNT_MAX = 1000
# The numbers of one container: 18 KB for one of many models with a script (measured 2026-11-26), so
# 8 MB for the 449 that have ports in 9000-9999. The next power of two.
SCRAPE_BYTES_MAX = 16 * MIB
METRIC_TIDY_INTERVAL_S = 300.0
# Brackets and calls of one expression inside one another: its 2,048 characters could be as many.
METRIC_EXPRESSION_DEPTH_MAX = 64

# CloudWatch's quota of 5,000 alarms can be raised: here two for each of as many scalable targets as
# DynamoDB may have. Of alarms' histories and scaling activities so many for AWS's weeks: guess.
ALARM_COUNT_MAX = 10_000
SCALABLE_TARGET_COUNT_MAX = 5_000
SCALING_HISTORY_COUNT_MAX = 10_000

# --- Instances, `cloud/fleet` -----------------------------------------------------------------
# ContainerStartupHealthCheckTimeoutInSeconds: 60 to 3,600, and SageMaker's docs speak of
# 8 minutes until an endpoint is given up.
STARTUP_TIMEOUT_S = 480.0
PING_INTERVAL_STARTING_S = 0.05
PING_INTERVAL_SERVING_S = 5.0
# "the container has 2 seconds to answer /ping" (SageMaker docs, same page).
PING_TIMEOUT_S = 2.0
# SIGTERM, then SIGKILL: SageMaker waits 30 s (same page).
STOP_GRACE_S = 30.0
# So long after its last answer a gRPC server stays: megabytes go over loopback in milliseconds, on
# a busy machine in some more. Guess.
GRPC_LINGER_S = 0.5
RESTART_BACKOFF_FIRST_S = 0.2
RESTART_BACKOFF_MAX_S = 30.0
# Between tries to start an instance that an endpoint lacks: each try has a log of its own, and 300
# a day leave room for others'. Guess.
HEAL_BACKOFF_MAX_S = 300.0
# An instance that crashes this often in a row before it was ever healthy is given up.
RESTART_COUNT_MAX = 3
# Healthy for this long, an instance has earned its first short back-off again. Guess.
RESTART_FORGIVE_S = 60.0
# So many pings in a row without an answer and an instance is restarted: half a minute of silence.
# AWS's page says that unhealthy instances are replaced, not after how many pings. Guess.
PING_FAILURE_COUNT_MAX = 6
# From SIGTERM to SIGKILL when the whole cloud ends: nobody waits for these answers any more.
CLOSE_GRACE_S = 3.0
# Instances yield to the gateway and to load generators: a weight of 335 against 1,024 (sched(7)).
INSTANCE_NICENESS = 5
# S3 yields to both: a weight of 110 against the gateway's 1,024 (sched(7)).
S3_NICENESS = 10
# It runs on one in so many cores, at least on one: hashing takes half a core at 200 MB/s. Guess.
S3_CORES_SHARE = 4
# A zygote that dies this often in a row before it is warm is given up until it is asked again.
ZYGOTE_FAILURE_COUNT_MAX = 3
# One line from a zygote or a container's leader; a list of 64 addresses takes 6 KiB.
STATUS_LINE_BYTES_MAX = 64 * KIB
# Archives unpacked at once: each takes a core.
FETCH_COUNT_MAX = 2
# Ports of local commands: below Linux's ephemeral range (32,768), so that no outgoing connection
# takes one. Each instance gets a block: one port to lock the block, one to serve on, and a safe
# range for 64 model servers at two ports each, with room to spare.
PORT_FIRST = 16_384
PORT_LAST = 32_767
PORT_BLOCK_SIZE = 200
# A TensorFlow model server's own memory after the fork: 58 MiB when it is warm, at most 123 MiB
# with 4 users at once, 170 with 64, 297 with 240 (2026-11-22, TensorFlow 2.21, 10 layers at
# 256x256, bodies of 0.7 MB). Several servers share their users, hence not the largest.
MODEL_SERVER_BYTES = 256 * MIB
# A script worker's own memory after the fork: 5 MiB idle, 14 with one user, 60 with 16 users and
# bodies of 0.9 MB (2026-11-25). What a script loads nobody can know.
SCRIPT_WORKER_BYTES = 64 * MIB
# For each byte of a SavedModel: 1.06 to 1.09 were measured with it (190 and 762 MiB of weights);
# more, because frozen graphs and fused kernels keep second copies.
MODEL_BYTES_FACTOR = 2.0
# A foreign command: a bare Python HTTP server takes 20 MiB. What it loads nobody can know. Guess.
COMMAND_BYTES = 64 * MIB
# Of the machine's memory this much is never given to instances. Guess.
MEMORY_RESERVE_BYTES = 512 * MIB

# --- Archives, `core/archive` -----------------------------------------------------------------
# A model.tar.gz may unpack to this much: the free disk of an ml.*'s default 30 GB volume is the
# real bound on AWS; 8 GiB fits a laptop. Guess.
ARCHIVE_UNPACKED_BYTES_MAX = 8 * GIB
# A SavedModel has a handful of files; a `code/lib` with a large package has ten thousand. Guess.
ARCHIVE_MEMBER_COUNT_MAX = 20_000
ARCHIVE_NAME_BYTES_MAX = 1024
# Every symbolic link is followed on paper, through up to 40 others; a SavedModel has none. Guess.
ARCHIVE_LINK_COUNT_MAX = 1000
# One extended header of an archive: twice the longest name and macOS's extended attributes fit.
ARCHIVE_HEADER_BYTES_MAX = 64 * KIB
# Silence of the S3 process while model data is fetched from it; it streams from local disk.
MODEL_DATA_STALL_TIMEOUT_S = 30.0
# "ModelDataDownloadTimeoutInSeconds ... maximum 3600" (SageMaker API reference, ProductionVariant).
MODEL_DATA_TIMEOUT_S = 3600.0
# Unpacked model data that no instance uses any more is kept up to this much, the latest used
# first, so that a redeployment does not unpack again. Guess.
MODEL_CACHE_BYTES_MAX = 10 * GIB
# Versions of objects whose folder is remembered; a forgotten one is fetched again. Guess.
MODEL_CACHE_ENTRY_COUNT_MAX = 1000

# --- Logs -------------------------------------------------------------------------------------
# One instance's output: this much, then one older file of the same size is kept. Guess.
INSTANCE_LOG_BYTES_MAX = 8 * MIB
# How often the size is looked at: in between, a very chatty process may overshoot. What was written
# is then given its time and can be read through the API, within the second that is promised.
INSTANCE_LOG_CHECK_INTERVAL_S = 0.25
# The times beside it, 16 bytes each time that something was new: 9 hours of a line in every quarter
# of a second, 7 days of one ping's line every 5 s. Guess.
INSTANCE_LOG_INDEX_BYTES_MAX = 2 * MIB
# Logs of instances, of which the oldest that nobody writes any more go when one ends. Guess.
INSTANCE_LOG_COUNT_MAX = 1000
# "Each log event can be no larger than 1 MB", "the maximum batch size is 1,048,576 bytes"
# (botocore's page on PutLogEvents); "up to 1 MB of log events or up to 10,000" (GetLogEvents).
LOG_EVENT_BYTES_MAX = 1 * MIB
LOG_PAGE_BYTES_MAX = 1 * MIB
LOG_PAGE_EVENT_COUNT_MAX = 10_000
# One FilterLogEvents looks at so much, then answers what it has and a token. Guess.
LOG_SEARCH_BYTES_MAX = 4 * MIB
# Events that clients wrote, of which the oldest go. Guess.
LOG_CLIENT_BYTES_MAX = 256 * MIB
# Threads that read and write logs: they share the interpreter with the gateway. Guess.
LOG_THREAD_COUNT = 2
# Parentheses in a JSON filter pattern; its 1,024 characters could hold 500. Guess.
LOG_PATTERN_DEPTH_MAX = 32
# As much of a log's end as a FailureReason quotes; the field holds 1,024 characters (botocore).
FAILURE_LOG_CHARACTERS_MAX = 400

# --- S3, `cloud/foundation/s3` ----------------------------------------------------------------
# AWS: one PUT up to 5 GiB, an object up to 5 TiB (50 TB since 2025), 10,000 parts of 5 MiB and
# more (the last may be smaller), 1,000 keys a page, keys up to 1,024 bytes, 2 KB of user metadata.
S3_PUT_BYTES_MAX = 5 * GIB
S3_PART_COUNT_MAX = 10_000
S3_PART_BYTES_MIN = 5 * MIB
S3_PAGE_KEYS_MAX = 1000
S3_KEY_BYTES_MAX = 1024
S3_METADATA_BYTES_MAX = 2 * KIB
S3_XML_BODY_BYTES_MAX = 2 * MIB
# "General purpose bucket quota: 10,000" (S3 User Guide, "Bucket quotas"); tags: 10 an object,
# 50 a bucket, keys of 128 and values of 256 characters ("Categorizing your objects using tags").
S3_BUCKET_COUNT_MAX = 10_000
S3_OBJECT_TAG_COUNT_MAX = 10
S3_BUCKET_TAG_COUNT_MAX = 50
S3_TAG_KEY_LENGTH_MAX = 128
S3_TAG_VALUE_LENGTH_MAX = 256
# A body's bytes that wait for a thread to hash and write them; then its client waits. Half of it is
# worth a thread's turn, the other half arrives meanwhile.
S3_READ_AHEAD_BYTES_MAX = 1 * MIB
# One read of a blob, and so what a slow client holds of it in memory.
S3_READ_PIECE_BYTES = 512 * KIB
# Written bytes the kernel may keep unwritten for one upload: without this the last fsync of a
# large upload takes seconds, and everybody else's waits behind it. Of 8 MiB to no limit, none made
# a 100 MB upload slower (2026-11-22).
S3_UNSYNCED_BYTES_MAX = 16 * MIB
# Kept free on the disk, so that the index can still be written: deleting needs room too.
S3_DISK_RESERVE_BYTES = 64 * MIB
# Threads that hash, read and write. They wait for the disk, and hashing frees the interpreter.
S3_THREAD_COUNT = 16
# A predecessor that is being killed lets go of the store well within this.
S3_LOCK_TIMEOUT_S = 2.0
# A question to the S3 process about one object; it answers in a millisecond unless the disk hangs.
S3_QUESTION_TIMEOUT_S = 10.0
# From SIGTERM until answers in flight are cut off.
S3_DRAIN_GRACE_S = 5.0
