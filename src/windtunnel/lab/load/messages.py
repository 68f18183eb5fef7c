"""The words that load processes and their head have for each other, on top of Locust's own.

They travel through Locust's runner, which carries them between processes and hosts, or within one
process. A worker says HELLO; the head hands it ORDERS and one PAYLOAD after the other, or turns it
away (REFUSED); the worker is READY. The head reads the workers' clocks (PING, PONG), lets all BEGIN
at one moment, and may HALT them. During the run they tell once a second what went on (TICK) and
hand over every request (SAMPLES); a worker that is through says so (FINISHED).
"""

HELLO, ORDERS, PAYLOAD, REFUSED, READY, PING, PONG, BEGIN, USERS, HALT, TICK, SAMPLES, FINISHED = (
    f"windtunnel-{word}"
    for word in (
        *("hello", "orders", "payload", "refused", "ready", "ping", "pong"),
        *("begin", "users", "halt", "tick", "samples", "finished"),
    )
)
