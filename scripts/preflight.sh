#!/usr/bin/env bash
# Says what is missing before anything is begun, with the line that mends it.
set -u
python="${PYTHON:-python3}"
apt="sudo apt-get install -y python3 python3-venv"

if ! command -v "$python" >/dev/null; then
    echo "windtunnel: $python is not installed. On Debian or Ubuntu:  $apt" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "windtunnel: $("$python" --version) is outside 3.11 to 3.13." \
        "Name another with:  make setup PYTHON=python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "windtunnel: Python's venv module is not installed. On Debian or Ubuntu:  $apt" >&2
    exit 1
fi
free_kib=$(df -Pk . | awk 'NR == 2 { print $4 }')
# The environment takes 2.1 GB, most of it TensorFlow's.
if [ "$free_kib" -lt 3000000 ]; then
    echo "windtunnel: 3 GB of free disk are needed here, $((free_kib / 1024)) MB are left." >&2
    exit 1
fi
