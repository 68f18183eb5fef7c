#!/usr/bin/env bash
# The example with scikit-learn, by the commands of its README: train, deploy, invoke, load, clean.
#
# $WINDTUNNEL is the command line. Every line that begins with ok is a step that was checked.
set -euo pipefail
cd "$(dirname "$0")"

name=iris-$$
rm -rf runs-iris
python train.py
echo "ok: trained"
$WINDTUNNEL deploy model.tar.gz --endpoint-name "$name" --image local/command \
    --env "WINDTUNNEL_COMMAND=$(command -v python) serve.py"
echo "ok: deployed"
said=$($WINDTUNNEL invoke "$name" --payload payload.json)
[ "$said" = '{"predictions": ["setosa", "versicolor", "virginica"]}' ] || {
    echo "invoke said $said" >&2
    exit 1
}
echo "ok: $said"
echo '{"instances": [["a"]]}' > wrong.json
! said=$($WINDTUNNEL invoke "$name" --payload wrong.json 2>&1)
[[ $said == *400* ]] || { echo "a wrong payload: $said" >&2; exit 1; }
echo "ok: what is no flower is refused"
$WINDTUNNEL load "$name" --payload payload.json --users 4 --duration 3s --out runs-iris
python - <<'PYTHON'
import json, pathlib
summary = json.loads(pathlib.Path("runs-iris/summary.json").read_text())
assert summary["requests"] > 0 and summary["failures"] == 0, summary
print(f"ok: {summary['requests']} requests of 4 users, none failed")
PYTHON
$WINDTUNNEL clean --endpoint-name "$name" --yes
echo "ok: gone"
