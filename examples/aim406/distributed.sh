#!/usr/bin/env bash
# Load-test a SageMaker endpoint with Locust: a master and many workers on this machine.
#
#     bash distributed.sh ENDPOINT
#
# Whatever is set below can be set outside:  USERS=12 WORKERS=3 RUN_TIME=30s bash distributed.sh unet
# The exit status is the master's. It leaves results_stats.csv and its like in this directory.
set -euo pipefail

refuse() {
    echo "distributed.sh: $1" >&2
    exit 2
}

if [[ $# -gt 0 ]]; then
    ENDPOINT_NAME=https://$1
fi
[[ -n ${ENDPOINT_NAME:-} ]] || refuse "name the endpoint:  bash distributed.sh ENDPOINT"
export ENDPOINT_NAME
export CONTENT_TYPE=${CONTENT_TYPE:-application/json}
export PAYLOAD=${PAYLOAD:-unet-payload.txt}
# `aws`, or else the local cloud.
export CLOUD=${CLOUD:-local}
USERS=${USERS:-240}
WORKERS=${WORKERS:-60}
RUN_TIME=${RUN_TIME:-1m}
# With true, Locust's page in the browser starts the test.
LOCUST_UI=${LOCUST_UI:-false}
SCRIPT=${SCRIPT:-$(dirname "${BASH_SOURCE[0]}")/locust_script.py}
MASTER_PORT=${MASTER_PORT:-5557}

[[ $USERS =~ ^[1-9][0-9]*$ ]] || refuse "USERS is a number of users, not '$USERS'."
[[ $WORKERS =~ ^[1-9][0-9]*$ ]] || refuse "WORKERS is a number of processes, not '$WORKERS'."
[[ $RUN_TIME =~ ^([0-9]+h)?([0-9]+m)?([0-9]+s?)?$ && -n $RUN_TIME ]] ||
    refuse "RUN_TIME is like 90s, 1m or 1h30m, not '$RUN_TIME'."
((USERS % WORKERS == 0)) ||
    refuse "$USERS users cannot be shared evenly by $WORKERS workers: choose a multiple."
[[ -s $PAYLOAD ]] || refuse "the payload $PAYLOAD is empty or not there: name one in PAYLOAD."

# One request first: where there is no such endpoint, sixty workers would each find out for themselves.
# Without Windtunnel's command line, which Locust does not need, they do, ever more rarely.
cloud=local
[[ $CLOUD != aws ]] || cloud=aws
name=${ENDPOINT_NAME%/}
if python -c 'import windtunnel.cli.main' 2>/dev/null; then
    python -m windtunnel invoke "${name##*/}" --cloud "$cloud" --payload "$PAYLOAD" \
        --content-type "$CONTENT_TYPE" >/dev/null
fi

# Answers that were asked for in time are waited for: the slowest ones come last.
master_options=(--master --master-bind-host 127.0.0.1 --master-bind-port "$MASTER_PORT"
    --expect-workers "$WORKERS" --expect-workers-max-wait 180
    -u "$USERS" -r "$USERS" -t "$RUN_TIME" --stop-timeout 70 --csv results)
[[ $LOCUST_UI == true ]] || master_options+=(--headless)

rm -f results_stats_history.csv
# Each in a process group of its own: what ends one ends all that it started, and Ctrl-C is ours.
set -m
groups=()
end_all() {
    for group in "${groups[@]}"; do
        kill -TERM -- "-$group" 2>/dev/null || true
    done
    wait
}
trap end_all EXIT
locust -f "$SCRIPT" -H "$ENDPOINT_NAME" "${master_options[@]}" </dev/null &
master=$!
groups+=("$master")
# Ctrl-C ends the test early, with all that was measured: the master sums up and ends.
trap 'kill -TERM "$master" 2>/dev/null || true' INT TERM
# Forked when everything is imported: sixty of them start in the time and the memory of a few.
locust -f "$SCRIPT" -H "$ENDPOINT_NAME" --worker --processes "$WORKERS" \
    --master-host 127.0.0.1 --master-port "$MASTER_PORT" --loglevel WARNING </dev/null &
groups+=("$!")

status=0
wait "$master" || status=$?
# A signal ends `wait` before it ends the master.
while kill -0 "$master" 2>/dev/null; do
    status=0
    wait "$master" || status=$?
done

reached=$(awk -F, 'NR > 1 && $2 > most { most = $2 } END { print most + 0 }' \
    results_stats_history.csv 2>/dev/null || echo 0)
echo "distributed.sh: $reached of $USERS users were reached."
exit "$status"
