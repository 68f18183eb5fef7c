# A load test on two workers, as many are started: careless.sh ENDPOINT PORT
locust -f careless.py -H "https://$1" --master --master-bind-port "$2" --expect-workers 2 \
    -u 9 -t 7sx --headless --only-summary --csv careless &
for _ in 1 2; do
    locust -f careless.py -H "https://$1" --worker --master-port "$2" --loglevel ERROR &
done
