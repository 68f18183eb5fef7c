"""CloudWatch's metric math: expressions over the series of one GetMetricData request.

The language is that of AWS's page "Using metric math": its operators, its three kinds of values
(numbers, time series, arrays of time series) and its functions. What it has and this cloud has not
(SEARCH, anomaly detection, queries in SQL …) is refused by name.
"""
