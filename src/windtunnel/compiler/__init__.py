"""A model in, a measured and verified artefact out: what SageMaker Neo does, in the open.

    job        what is asked            targets    what it shall run on, and what that can do
    archive    what was brought         sources    how a format is converted, and its baseline
    samples    what it is tried with    candidates which forms are tried
    verify     are the answers right    measure    how long they take
    choice     which one                report     what was tried, and why
    pipeline   the order of it all

What is measured is what is served: candidates are loaded by `serving.engines`, as a container loads
them. `python -m windtunnel.compiler JOB.json` runs one job in a process of its own.
"""
