#!/usr/bin/env bash
# A PostgreSQL server of the tests' own: on loopback and a socket in its folder, with fsync, as another user where this is root.
# It is stopped by its pid when the process that it is for has ended, however that ended, and its folder goes with it.
#
#   tests/peers/postgres.sh FOLDER PORT OWNER     FOLDER: not there yet; OWNER: the pid that it is for
#
# FOLDER/ready appears when it answers; FOLDER/log says why it does not.
set -euo pipefail
folder=${1:?the folder} port=${2:?the port} owner=${3:?the pid}
bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
[ -x "$bin/initdb" ] || { echo "postgres.sh: no PostgreSQL (tests/peers/install.sh brings it)" >&2; exit 3; }
as=()
mkdir -m 700 "$folder"
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  chown postgres "$folder"
fi
cd "$folder"
trap 'rm -rf "$folder"' EXIT
"${as[@]}" "$bin/initdb" -D "$folder/data" -U tests -A trust -E UTF8 --no-locale >"$folder/log" 2>&1
printf 'local all tests trust\nhost all tests 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n' >"$folder/data/pg_hba.conf"
start() {
  "${as[@]}" "$bin/postgres" -D "$folder/data" -p "$port" -h 127.0.0.1 -k "$folder" -c fsync=on -c max_connections=200 \
    -c shared_buffers=32MB -c jit=off >>"$folder/log" 2>&1 &
  pid=$!
}
start
until "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do
  kill -0 "$pid" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
touch "$folder/ready"
# Whoever wants it down for a while makes FOLDER/down.
while kill -0 "$owner" 2>/dev/null; do
  if [ -e "$folder/down" ] && [ -n "$pid" ]; then kill -INT "$pid"; wait "$pid" || true; pid=; fi
  if [ ! -e "$folder/down" ] && [ -z "$pid" ]; then start; fi
  sleep 0.1
done
[ -z "$pid" ] || { kill -QUIT "$pid" 2>/dev/null; wait "$pid" || true; }
