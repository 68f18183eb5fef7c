"""An S3 on this machine's disk: a small service of its own, in a process of its own.

    service      one coroutine a request: body in, operation, answer out; the only asyncio here
    request      what is asked: address, query, headers
    routes       the name of the operation
    intake       the body, checked while it streams to disk (framing, checksums, crc)
    operations   one function each, blocking, run on worker threads
    index        SQLite: which keys there are and where their bytes lie (rows, records)
    blobs        files of bytes under generated names
    answers      XML and headers out
    client       how the rest of the cloud asks it questions

It trusts its socket: signatures are verified by the gateway before a request comes here.
"""
