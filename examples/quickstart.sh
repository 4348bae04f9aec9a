#!/usr/bin/env bash
# examples/quickstart.sh [--keep] - builds Sluice, starts it, and sends records through a customer's Lua script to a receiver.
#
# Prints what arrives and compares it with what `sluice pipe` makes of the same records. Everything it started is stopped
# in the end, but with --keep the engine goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/support/packages.sh

keep=
case ${1:-} in
  '') ;;
  --keep) keep=1 ;;
  *) echo "usage: examples/quickstart.sh [--keep]" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$1"; }

say 'Building'
packages_install "${packages_build[@]}"
[[ -f build/CMakeCache.txt ]] || cmake -B build -DBUILD_TESTING=OFF >/dev/null # a folder that is there may have tests in it
cmake --build build -j "$(nproc)" --target sluice
sluice=$PWD/build/sluice

work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-quickstart.XXXXXX")
engine= receiver=
clean() {
  [[ -z $receiver ]] || kill "$receiver" 2>/dev/null || true
  [[ -z $keep || ! -s $work/address ]] || return 0
  [[ -z $engine ]] || { kill "$engine" 2>/dev/null && wait "$engine" || true; }
  rm -rf "$work"
}
trap clean EXIT

# started FILE PID: the address that the process PID says in FILE that it listens on.
started() {
  local tries
  for tries in {1..200}; do
    sed -nE 's/.*listening on (http:[^ "]+).*/\1/p' "$1" | grep . && return
    kill -0 "$2" 2>/dev/null || break
    sleep 0.05
  done
  cat "$1" >&2
  return 1
}

say 'Starting the engine on its embedded journal'
export SLUICE_TOKEN_OPERATOR=quickstart SLUICE_TOKEN=quickstart
cat >"$work/sluice.lua" <<LUA
return {
  listen = "127.0.0.1:0",                    -- any free port
  data = "$work/data",
  scripts = "$PWD/examples",                 -- so that a stream may use quickstart.lua by its name
  sinks = "$PWD/sinks",
  portal = "$PWD/portal/dist",
  egress = { allow = { "127.0.0.0/8" } },    -- the receiver runs on this machine
}
LUA
"$sluice" run -c "$work/sluice.lua" 2>"$work/engine.log" &
engine=$!
SLUICE_URL=$(started "$work/engine.log" "$engine")
export SLUICE_URL
echo "$SLUICE_URL"

say 'Starting a receiver'
cat examples/records/*.ndjson | "$sluice" pipe examples/quickstart.lua >"$work/expected" 2>"$work/dropped"
kept=$(wc -l <"$work/expected")
timeout 60 "$sluice" receive --port 0 --count "$kept" >"$work/arrived" 2>"$work/receiver.log" &
receiver=$!
address=$(started "$work/receiver.log" "$receiver")
echo "$address"

say 'Creating a stream with examples/quickstart.lua'
cat >"$work/stream.json" <<JSON
{"name": "Quickstart", "organisation_id": null, "type": "usage_and_events", "sink": "rest_bulk",
 "settings": {"url": "$address/records"}, "script_name": "quickstart", "active": true}
JSON
"$sluice" streams create "$work/stream.json"

say 'Sending examples/records'
for file in examples/records/*.ndjson; do
  echo "$file"
  "$sluice" send "$file"
done

say 'What arrived, filtered and mapped'
wait "$receiver" || { echo 'not everything arrived in time; the engine says:' >&2; cat "$work/engine.log" >&2; exit 1; }
receiver=
cat "$work/arrived"
if ! diff <(sort "$work/expected") <(sort "$work/arrived") >"$work/difference"; then
  echo 'this is not what the script makes of these records:' >&2
  cat "$work/difference" >&2
  exit 1
fi
echo
"$sluice" streams list

printf '\n%d records arrived as the script makes them.\nPortal: %s/\n' "$kept" "$SLUICE_URL"
if [[ $keep ]]; then
  echo "$SLUICE_URL" >"$work/address"
  printf 'The engine goes on: SLUICE_URL=%s SLUICE_TOKEN=%s; stop it with: kill %d\nIts data: %s\n' "$SLUICE_URL" "$SLUICE_TOKEN" "$engine" "$work"
fi
