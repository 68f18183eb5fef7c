"""Dry runs of scaling policies: files in, a recommendation and a page out.

    policies        what boto3 takes, as what is simulated, and back
    definitions     one policy, alarm or scheduled action of them
    traces          a file of traffic as requests per period
    history         an endpoint's past in their place, asked of AWS
    capacity        what one instance can do: given, or from a load run
    sweep           many policies over one trace, on several processes
    recommendation  the cheapest that keeps an objective, held against a clairvoyant
    cost            what instance-hours cost, with what that figure may be called
    result          all of it as one JSON object
    figures, page   all of it for a person
    stand_in        a generated trace of the length and burstiness of a recorded one

How a policy decides is in `windtunnel.autoscaling`, which the local cloud shares.
"""
