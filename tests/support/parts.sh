# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by scripts/test and scripts/soak: runs the parts of the suite and keeps their results for the last line.

results=build/results
pytest=(build/venv/bin/python -m pytest --quiet)

begin_results() {
    rm -rf "$results"
    mkdir -p "$results"
}

# part <name> <command>...: runs it with its JUnit file as the last word, and remembers how it ended.
part() {
    local name=$1 status=0 began=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    "$@" "$results/$name.xml" || status=$?
    printf '%s %s\n' "$status" "$name" >>"$results/parts"
    printf '=== %s: %s in %d s\n' "$name" "$([ $status = 0 ] && echo passed || echo FAILED)" $((SECONDS - began))
}

# step <name> <command>...: the same for what has no tests of its own: only its failure counts.
step() {
    local name=$1 status=0
    shift
    printf '\n=== %s\n' "$name"
    "$@" || status=$?
    [ $status = 0 ] || printf '%s %s\n' "$status" "$name" >>"$results/parts"
    return $status
}

# run_pytest <preset> <pytest's words>... <JUnit file>
run_pytest() {
    local preset=$1 words=("${@:2:$#-2}")
    JGTEST_BUILD=build/$preset "${pytest[@]}" "${words[@]}" --junitxml="${!#}"
}

# run_ctest <preset> <label> <JUnit file>
run_ctest() {
    local fixed=()
    # ThreadSanitizer's memory layout does not get on with much address randomisation; some containers forbid the cure.
    [ "$1" = tsan ] && setarch -R true 2>/dev/null && fixed=(setarch -R)
    "${fixed[@]}" ctest --parallel 2 --test-dir "build/$1" --label-regex "^$2\$" --no-tests=error --output-on-failure \
        --output-junit "$PWD/$3"
}

# end_results: the summary, with `N passed, N failed` as its last line; false when anything failed, or nothing ran.
end_results() {
    printf '\n'
    build/venv/bin/python tests/support/results.py "$results"
}
