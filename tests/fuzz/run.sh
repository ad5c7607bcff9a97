#!/bin/sh
# Coverage-guided fuzzing on stable Rust, of the same targets that the suite runs briefly.
#
#   tests/fuzz/run.sh                    names the targets
#   tests/fuzz/run.sh TARGET [SECONDS]   fuzzes one (for 60 seconds, if not said); `all` takes them one after another
#
# What libFuzzer finds worth keeping stands in target/fuzz/corpus/TARGET. An input that breaks an invariant is written to
# target/fuzz/found: make it a seed of the target, so that the suite holds it for good. Needs a C++ compiler.
set -eu
cd "$(dirname "$0")/../.."
triple=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}/fuzz
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
binary=$(cargo build --profile fuzz --features fuzz --example fuzz --target "$triple" --message-format=json-render-diagnostics |
    sed -n 's/.*"name":"fuzz".*"executable":"\([^"]*\)".*/\1/p')

mkdir -p "$out/found"
# libFuzzer takes a target that ends the program for a crash; these two say what they have to say and end.
ask() { LYCHGATE_FUZZ=$1 "$binary" -runs=1 -artifact_prefix="$out/" </dev/null 2>/dev/null || true; rm -f "$out"/crash-*; }
names=$(ask list)
if [ $# -eq 0 ]; then
    echo "$names"
    exit
fi
[ "$1" = all ] || names=$1
ask "seeds $out/seeds"
failed=0
for name in $names; do
    mkdir -p "$out/corpus/$name" "$out/seeds/$name"
    echo "== $name"
    LYCHGATE_FUZZ=$name nice -n 19 "$binary" -max_total_time="${2:-60}" -max_len=16384 -rss_limit_mb=2000 -timeout=20 -fork=0 \
        -print_final_stats=1 -artifact_prefix="$out/found/$name-" "$out/corpus/$name" "$out/seeds/$name" 2>"$out/$name.log" || failed=1
    grep -E 'panicked|ERROR|Test unit written|stat::(number_of_executed_units|peak_rss_mb)|cov: .* DONE' "$out/$name.log" || true
done
exit $failed
