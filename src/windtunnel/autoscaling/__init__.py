"""Auto scaling as Application Auto Scaling and CloudWatch's alarms do it; pure, on any clock.

Nothing here reads a clock, a file or a metric, so that one code decides live, warped and simulated.

    alarm       which state an alarm is in, period after period
    reasons     why it is in that state, in CloudWatch's words
    tracking    a target-tracking policy's two alarms and its arithmetic
    proposal    AWS's formula for a target, and targets that can do nothing
    steps       a step policy's arithmetic, and which steps AWS refuses
    schedule    when scheduled actions are due
    decider     all of a scalable target's policies: out, in or neither, and why
    names       what AWS calls what it makes
    activity    AWS's wording of what was done
    simulator   a decider on a virtual clock, driven by a trace; `circumstances` and `signals` are
                what it takes as given and which metrics it can work out, `timeline` what comes out
    clairvoyant what somebody who knew the trace would have run

A live loop drives a decider like this; everything it keeps between two rounds is in the alarms, in
`decider.memory` and in an agenda:

    policy = TrackingPolicy("follow", "SageMakerVariantInvocationsPerInstance", target=70)
    high, low = Alarm(policy.high_rule(resource, uuid_a)), Alarm(policy.low_rule(resource, uuid_b))
    decider = Decider(Bounds(1, 4), [Tracked(policy, high, low)])
    agenda = Agenda(actions, now_s)

    every few seconds, with the time as a value:
        for alarm in alarms of which a period has ended, by now_s - late_s:
            alarm.look(its beginning, the statistic of each period of the range, or None)
        for due_s, action in agenda.take(now_s):
            carry out decider.rebound(now_s, desired, the action's bounds), unless suspended
        if an alarm was looked at:
            found = decider.decide(now_s, desired, is_scalable=the endpoint is InService)
            Decision: set the capacity, keep an activity with its cause; when the instances are
                      in service, decider.fulfilled(found, now_s)
            Held: with a reason it is a not-scaled activity; else nothing to tell AWS's way

After a restart alarms begin with the state that was kept. Warped, the loop hands in rules and
policies whose periods and cooldowns last 1/K as long, on the real clock; nothing here knows.
"""
