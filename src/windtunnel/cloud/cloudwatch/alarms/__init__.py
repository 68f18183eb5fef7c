"""CloudWatch's alarms: what they watch, in which state they are, and what became of them.

records     one alarm and one item of its history, as they are kept
requests    PutMetricAlarm's words, checked
watch       which periods of which metrics are looked at, and what state follows
listing     which alarms and items a question is about
service     the operations
"""
