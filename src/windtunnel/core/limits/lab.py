"""Limits of the lab and of the sample models."""

from windtunnel.core.limits.sizes import KIB, MIB

# --- The lab, `lab` ----------------------------------------------------------------------------
# How long a client waits for one invocation: boto3's page on InvokeEndpoint asks for 70 s where
# models may take the 60 s of MODEL_TIMEOUT_S.
INVOKE_CLIENT_TIMEOUT_S = 70.0
INVOKE_CONNECT_TIMEOUT_S = 10.0
# A signature in use is renewed before it is this old; services accept SIGNATURE_SKEW_S.
SIGNATURE_AGE_S_MAX = 240.0
# Credentials that expire within this are renewed during a run: longer than any signature is used.
CREDENTIALS_RENEWAL_S = 300.0
# How often the time that they have left is looked at, and so how often they are renewed at most.
CREDENTIALS_CHECK_S = 5.0
# A closed user whose connection was refused waits this long before the next try, twice as long
# each time: without a pause a dead endpoint would be asked 10,000 times a second.
RECONNECT_PAUSE_FIRST_S = 0.05
RECONNECT_PAUSE_S_MAX = 1.0
# One load process sends this many requests (39 bytes each on disk: 1.4 GB, and as much in memory
# while they are summed up); at 10,000 a second that is an hour. The run ends there, and says so.
LOAD_REQUEST_COUNT_MAX = 36_000_000
# Requests that one load process of an open loop has out at once: what a connection and its greenlet
# take is 30 KB or so. The local gateway has room for as many (CONNECTION_COUNT_MAX).
LOAD_CONNECTION_COUNT_MAX = 2000
# A connection of an open loop that was idle for longer is looked at before it is used: Node's and
# uvicorn's servers close theirs after 5 s, nginx after 75 s.
LOAD_IDLE_TRUSTED_S = 1.0
# A trace of arrivals: two months of minutes are 2.2 MB, an hour of moments at 1,000 a second 40 MB.
LOAD_TRACE_BYTES_MAX = 64 * MIB
# Periods of one simulation: three weeks short of two years of periods of ten seconds, 0.5 GB of
# memory and half a minute of time.
SIMULATED_PERIODS_MAX = 6_000_000
# Policies compared in one simulation: 1,000 are the sweep that the project is measured by.
SIMULATED_POLICIES_MAX = 10_000
# A file of policies; AWS allows 50 a target, each under 10 kB.
POLICY_FILE_BYTES_MAX = 1 * MIB
# Kinds of error told apart in one run; more become one kind.
LOAD_ERROR_KINDS_MAX = 100
# Of a failed answer's body this much is kept, to quote from.
LOAD_ERROR_BODY_BYTES_MAX = 16 * KIB
# An answer's head; nginx allows 4 KiB or 8 KiB (proxy_buffer_size).
LOAD_ANSWER_HEAD_BYTES_MAX = 64 * KIB
# Load processes on one host: more than any machine's cores has no use. Guess.
LOAD_PROCESS_COUNT_MAX = 256
# From the start of a load process until it reports; importing Locust takes 1 s, more on a busy
# machine.
LOAD_START_TIMEOUT_S = 60.0
# One line from a load process: a second's latencies and lags in classes, of which there are 38,000
# from a nanosecond to the longest wait for an answer, at 12 bytes each.
LOAD_LINE_BYTES_MAX = 4 * MIB
# After Ctrl-C: how long requests in flight may still answer.
LOAD_INTERRUPT_GRACE_S = 2.0
# From the start of a master until all workers of other hosts must be there: a Kubernetes node that
# has to be added first takes some minutes.
LOAD_WORKERS_TIMEOUT_S = 300.0
# How long the master waits for a worker to say what its clock shows; as long as for a sign of life.
LOAD_CLOCK_ANSWER_S = 10.0
# A worker that hears nothing from its master for so long stops: Locust's masters speak every
# second, and its workers would go on for 60 s, sending what nobody counts.
LOAD_HEAD_SILENCE_S = 10.0
# Clocks further apart than this are not kept at all (NTP keeps them within milliseconds), and one
# that is 5 minutes off makes signatures that AWS refuses.
LOAD_CLOCK_OFFSET_S_MAX = 1.0
# Every load process keeps every payload of its run, signed: 256 MiB hold 40 of the largest.
LOAD_PAYLOADS_BYTES_MAX = 256 * MIB
# Of payloads on their way from the master to a worker, in one message: large enough to keep a
# network busy, and heartbeats do not wait for long behind it (0.3 s at 100 Mbit/s).
LOAD_PAYLOADS_MESSAGE_BYTES = 4 * MIB
# In what is kept of a request a payload's number has 16 bits.
LOAD_PAYLOADS_COUNT_MAX = 10_000
# The longest think time: longer than people stay on a page. Guess.
LOAD_THINK_S_MAX = 600.0
# Requests of a locustfile that wait to be counted: two seconds of the fastest process; they are
# counted five times a second, unless the process has no time for it.
LOCUST_BATCH_REQUEST_COUNT_MAX = 65_536
# From a command's end until what it left behind is Locust, or is not: a shell's child has yet to
# become a program, which takes milliseconds, and more on a busy machine. Guess.
LEFT_BEHIND_GRACE_S = 1.0
# A local endpoint is there in seconds; AWS's take minutes and may take half an hour.
DEPLOY_TIMEOUT_S = 1800.0
DEPLOY_POLL_LOCAL_S = 0.25
# From one look to the next: many who looked every 5 s were throttled (sagemaker-python-sdk#1204),
# the SDK itself looks every 30 s.
DEPLOY_POLL_AWS_FIRST_S = 1.0
DEPLOY_POLL_AWS_S_MAX = 15.0
# Tries of one control call: botocore waits up to 20 s before each further one, so that ten ride out
# a minute or two of throttling.
CONTROL_ATTEMPTS_MAX = 10
# Tries of the first call of a command, which finds out whether anybody is there: botocore's own.
FIRST_ATTEMPTS_MAX = 3
# What is asked while a person waits, and can be done without: prices, policies. Guess.
BRIEF_TIMEOUT_S = 5.0
# Changes of a variant's size, and turns of an alarm, that a run keeps: one a minute for 8 h. Guess.
RUN_SCALING_COUNT_MAX = 500
# CreateModel's Environment: "max": 100 entries, keys and values up to 1,024 characters (botocore's
# sagemaker model).
MODEL_ENVIRONMENT_COUNT_MAX = 100
MODEL_ENVIRONMENT_CHARACTERS_MAX = 1024
# A report's page must open at once and travel by mail: Plotly's own script is 4.8 MB of it.
REPORT_BYTES_MAX = 8_000_000
# Of a cell in a pipeline's summary, which is a glance; what an endpoint said may be a page. GitHub
# drops a summary of more than 1 MiB whole.
MARKDOWN_CELL_CHARACTERS_MAX = 400

# --- Sample models, `sample` --------------------------------------------------------------------
# Trained models that a home keeps, 8 MB each: this version's, and those of two versions before,
# so that going back does not train again. Guess.
SAMPLE_CACHE_COUNT_MAX = 3
