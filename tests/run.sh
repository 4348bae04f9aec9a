#!/usr/bin/env bash
# tests/run.sh [--long] [GROUP...] - installs what the tests need, builds, and runs every test, or the groups named.
#
#   unit        module tests, gcc, as released (build/)
#   asan        the same with clang and the address and undefined-behaviour sanitizers (build-asan/)
#   tsan        those that start threads, with the thread sanitizer (build-tsan/)
#   fuzz        fuzzers, for a short while, in build-asan/
#   lua         the specs and golden cases of the Lua that is shipped
#   flow        the whole program, driven from outside by Node
#   quickstart  examples/quickstart.sh
#   bench       the benchmark; by name or with --long only
# --long adds the whole storm of 200 kills, 500 reloads and the benchmark.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
source tests/support/packages.sh

jobs=$(nproc)
passed=0
failed=0
broken=() # what failed, for the last lines
log=$(mktemp)
trap 'rm -f "$log"' EXIT

usage() {
  sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

title() {
  printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

fail() {
  failed=$((failed + ${2:-1}))
  broken+=("$1")
}

# build FOLDER COMPILER [CMAKE OPTION...]
build() {
  local folder=$1 compiler=$2
  shift 2
  title "build $folder"
  CC=$compiler cmake -B "$folder" -DBUILD_TESTING=ON -DSLUICE_NEED_TESTS=ON "$@" >"$log" 2>&1 || { cat "$log"; fail "$folder: cmake"; return 1; }
  cmake --build "$folder" -j "$jobs" || { fail "$folder: build"; return 1; }
}

build_release() { build build gcc -DCMAKE_BUILD_TYPE=Release; }
build_asan() { build build-asan clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DSLUICE_SANITIZE=address,undefined; }
build_tsan() { build build-tsan clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DSLUICE_SANITIZE=thread; }

# run_ctest FOLDER TITLE PATTERN: the tests whose names match
run_ctest() {
  title "$2"
  ctest --test-dir "$1" -j "$jobs" --output-on-failure --no-tests=error -R "$3" 2>&1 | tee "$log"
  local counts
  counts=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\1 \2/p' "$log")
  if [[ -z $counts ]]; then
    fail "$2: no test ran"
    return
  fi
  read -r bad all <<<"$counts"
  passed=$((passed + all - bad))
  ((bad == 0)) || fail "$2" "$bad"
}

group_unit() {
  build_release && run_ctest build unit '^unit/'
}

group_asan() {
  build_asan && run_ctest build-asan 'unit under the address sanitizer' '^unit/'
}

# The tests that start threads, by what their sources use.
threaded_tests() {
  grep -lE 'pthread_create|loop_new|journal_open|journal_fixture|http_fixture|pool_support|courier_support|delivery_support' tests/unit/*_test.c |
    sed -E 's|.*/(.*)\.c|\1|' | paste -sd '|'
}

group_tsan() {
  build_tsan && run_ctest build-tsan 'unit under the thread sanitizer' "^unit/($(threaded_tests))\$"
}

# Whether there is such a file: a group without tests has nothing to say.
any() {
  [[ -e $1 ]]
}

group_fuzz() {
  any tests/fuzz/* || return 0
  build_asan && run_ctest build-asan fuzz '^fuzz/'
}

group_lua() {
  build_release || return
  title lua
  build/sluice test sinks scripts examples 2>&1 | tee "$log"
  local good bad
  read -r good bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log")
  passed=$((passed + ${good:-0}))
  [[ $bad == 0 && ${good:-0} -gt 0 ]] || fail lua "${bad:-1}"
}

group_flow() {
  local files=(tests/flow/*.test.mjs)
  any "${files[@]}" || return 0
  build_release || return
  title flow
  node --test --test-reporter=spec "${files[@]}" 2>&1 | tee "$log"
  local good bad
  good=$(sed -nE 's/^ℹ pass ([0-9]+)$/\1/p' "$log")
  bad=$(sed -nE 's/^ℹ fail ([0-9]+)$/\1/p' "$log")
  passed=$((passed + ${good:-0}))
  [[ $bad == 0 && ${good:-0} -gt 0 ]] || fail flow "${bad:-1}"
}

group_quickstart() {
  title quickstart
  if examples/quickstart.sh; then passed=$((passed + 1)); else fail quickstart; fi
}

group_bench() {
  build_release || return
  title bench
  if build/sluice-bench; then passed=$((passed + 1)); else fail bench; fi
}

groups=()
long=
while (($#)); do
  case $1 in
    --long) long=1; export SLUICE_KILLS=200 SLUICE_RELOADS=500 ;;
    -h | --help) usage; exit 0 ;;
    unit | asan | tsan | fuzz | lua | flow | quickstart | bench) groups+=("$1") ;;
    *) echo "tests/run.sh: no group is called '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
if ((${#groups[@]} == 0)); then
  groups=(unit asan tsan fuzz lua flow quickstart)
  [[ -z $long ]] || groups+=(bench)
fi

packages_install "${packages_build[@]}" "${packages_test[@]}" || exit 1
for group in "${groups[@]}"; do "group_$group"; done

printf '\n'
((${#broken[@]} == 0)) || printf 'failed: %s\n' "${broken[@]}"
printf '%d passed, %d failed (%d s)\n' "$passed" "$failed" "$SECONDS"
((failed == 0))
