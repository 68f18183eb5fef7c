"""Application Auto Scaling: scalable targets, their policies and schedules, and the loop.

    records     what is kept of targets, policies, scheduled actions and activities
    wording     what AWS says of what is not there or makes no sense
    requests    the words of RegisterScalableTarget and PutScalingPolicy, checked
    owned       the two alarms of a target-tracking policy, and the metrics they are on
    book        all records, and the edits that change several at once
    targets, policies, actions, activities, tagging
                the operations
    assembly    a target's records and alarms as the pure decider of `windtunnel.autoscaling`
    scaler      one round: look at alarms, decide, carry out, see to what is under way
    service     the operations by AWS's names, and the task that goes round

How scaling decides is in `windtunnel.autoscaling`, which simulates as well.
"""
