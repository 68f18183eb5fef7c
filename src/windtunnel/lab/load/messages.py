"""The words that load processes and their head have for each other, on top of Locust's own.

They travel through Locust's runner, which carries them between processes and hosts, or within one
process. A worker says HELLO; the head hands it ORDERS, or turns it away (REFUSED). The worker asks
for PAYLOADS (WANT) until it has them all, as a head that sends them unasked sends more than the
sockets between hold, and those are lost. Then it is READY, or has its reasons to go (DECLINED). The
head reads the workers' clocks (PING, PONG), lets all BEGIN at one moment, and may HALT them. During
the run they tell once a second what went on (TICK) and hand over every request (SAMPLES); a worker
that is through says so (FINISHED).
"""

HELLO, ORDERS, REFUSED, WANT, PAYLOADS, READY, DECLINED = (
    f"windtunnel-{word}"
    for word in ("hello", "orders", "refused", "want", "payloads", "ready", "declined")
)
PING, PONG, BEGIN, USERS, HALT, TICK, SAMPLES, FINISHED = (
    f"windtunnel-{word}"
    for word in ("ping", "pong", "begin", "users", "halt", "tick", "samples", "finished")
)
