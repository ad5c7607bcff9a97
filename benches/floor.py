#!/usr/bin/env python3
"""Holds the speed of the gateway against the committed figures in benches/floor.toml, and fails where it fell.

    benches/floor.py                    build for release, run bursts and pure benchmarks, compare
    benches/floor.py --write            the same, and raise the committed figures to what was seen where that is better
    benches/floor.py --handicap 1       one gateway more in the way: a slowdown of twice, which must fail
    benches/floor.py --only pure|burst|store  one part
    benches/floor.py --binary F         a gateway that is built already

Every burst figure is a ratio to the same load with no gateway, taken beside it in the same run. Needs Python 3.11 and, for
counting instructions, valgrind: without it that half is skipped aloud, or fails with --strict.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FLOOR = HERE / "floor.toml"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--write", action="store_true")
    a.add_argument("--handicap", type=int, default=0)
    a.add_argument("--only", choices=["burst", "pure", "store"])
    a.add_argument("--binary")
    a.add_argument("--repeat", type=int)
    a.add_argument("--strict", action="store_true", help="a missing valgrind is a failure")
    options = a.parse_args()
    floor = tomllib.loads(FLOOR.read_text())
    faults, seen = [], {}
    if options.only in (None, "burst"):
        seen.update(bursts(options, floor["burst"], faults))
    if options.only in (None, "pure"):
        seen.update(pure(options, floor["pure"], faults))
    if options.only in (None, "store"):
        store(floor["store"], faults)
    if options.write and not options.handicap:
        write(seen)
    for fault in faults:
        print(f"FAIL  {fault}")
    print("The floor does not hold." if faults else "The floor holds.")
    return 1 if faults else 0


def bursts(options, table, faults):
    binary = options.binary or built(["build", "--release", "--bin", "lychgate"], "lychgate")
    seen = {}
    for name, burst in table.items():
        if not isinstance(burst, dict):
            continue
        command = [binary, "bench", "--json", "--repeat", str(options.repeat or table["repeat"]), *burst["arguments"]]
        if options.handicap:
            command += ["--handicap", str(options.handicap)]
        report = measured(command) or measured(command)
        if report is None:
            faults.append(f"{name}: the burst failed or lost mail")
            continue
        for figure in ("speed", "thrift"):
            was, now = burst.get(figure), report["ratios"][figure]
            low = was is not None and (now is None or now < was * table["keep"])
            if low and not options.handicap:
                # A bad minute on a shared machine is not a slow gateway: it must be slow every time.
                for _ in range(3):
                    again = measured(command)
                    now = max(now or 0, (again or {"ratios": {}})["ratios"].get(figure) or 0)
                    low = now < was * table["keep"]
                    if not low:
                        break
            shown = "not measured" if now is None else f"{now:.4f}"
            committed = "no committed figure" if was is None else f"committed {was:.4f}, at least {was * table['keep']:.4f}"
            print(f"{'low ' if low else 'ok  '}  {name:<22} {figure:<7} {shown:>10}   {committed}", flush=True)
            if low:
                faults.append(f"{name}: {figure} is {shown}, under {table['keep']:.0%} of {was:.4f}")
            if now is not None:
                seen[("burst." + name, figure)] = now
        gateway, direct = report["gateway"], report["direct"]
        print(f"      {name:<22} gateway {gateway['messages_per_second']:,.0f}/s, {gateway['cpu_per_1000']:.4f} CPU-s per 1000, p50 {gateway['p50_ms']:.2f} ms, "
              f"p99 {gateway['p99_ms']:.2f} ms, peak {(report['gateway_peak_memory'] or 0) / 2**20:.1f} MiB; "
              f"direct {direct['messages_per_second']:,.0f}/s, {direct['cpu_per_1000']:.4f}", flush=True)
    return seen


def measured(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"      exit {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}")
        return None
    return json.loads(done.stdout)


def pure(options, table, faults):
    if not shutil.which("valgrind"):
        print("SKIPPED: valgrind is not installed, so no instructions were counted")
        if options.strict:
            faults.append("valgrind is missing")
        return {}
    binary = built(["bench", "--no-run", "--bench", "pure"], "pure")
    names = subprocess.run([binary, "list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    committed, seen = table["instructions"], {}
    for name in names:
        # Of the many conditions each is counted over fewer iterations: the counts hardly differ, and the floor must not take long.
        first, more = (2, 10) if name.startswith("word-") else (20, 100)
        few, many = instructions(binary, name, first), instructions(binary, name, first + more)
        now, was = (many - few) // more, committed.get(name)
        high = was is not None and now > was * table["tolerance"]
        print(f"{'high' if high else 'ok  '}  {name:<22} {now:>12,} instructions   {'no committed count' if was is None else f'committed {was:,}'}", flush=True)
        if high:
            faults.append(f"{name}: {now:,} instructions, over {table['tolerance']} times {was:,}")
        seen[("pure.instructions", name)] = now
    for pair, most in table["ratios"].items():
        one, other = (seen.get(("pure.instructions", name)) for name in pair.split(" / "))
        if not one or not other:
            faults.append(f"{pair}: there is no such benchmark")
            continue
        high = one / other > most
        print(f"{'high' if high else 'ok  '}  {pair:<34} {one / other:>9.2f} times   at most {most}", flush=True)
        if high:
            faults.append(f"{pair}: {one / other:.2f}, over {most}")
    for name in committed.keys() - set(names):
        faults.append(f"{name}: a count is committed, but there is no such benchmark")
    return seen


def store(table, faults):
    binary = built(["bench", "--no-run", "--bench", "store"], "store")
    figures = measured([binary, "--json", "--rows", str(table["rows"])])
    if figures is None:
        faults.append("the stores could not be measured")
        return
    bounds = [(name, most, lambda now, most: now > most, "at most") for name, most in table["at-most"].items()]
    bounds += [(name, least, lambda now, least: now < least, "at least") for name, least in table["at-least"].items()]
    for name, bound, is_bad, word in bounds:
        now = figures.pop(name, None)
        bad = now is None or is_bad(now, bound)
        print(f"{'bad ' if bad else 'ok  '}  {name:<28} {'-' if now is None else f'{now:.2f}':>12}   {word} {bound}", flush=True)
        if bad:
            faults.append(f"{name}: {now}, {word} {bound}")
    print("      " + ", ".join(f"{name} {now:,.2f}" for name, now in figures.items()), flush=True)


def instructions(binary, name, iterations):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, name, str(iterations)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"valgrind failed on {name}:\n{done.stderr}")
    return int(found[1])


def built(arguments, name):
    """Builds, and asks cargo where it put the program."""
    done = subprocess.run(["cargo", *arguments, "--message-format=json-render-diagnostics"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == name)


def write(seen):
    """Burst figures only rise, and instruction counts only fall; the comments of the file stay."""
    lines, section = [], None
    left = dict(seen)
    better = lambda where, old, new: min(old, new) if where == "pure.instructions" else max(old, new)
    show = lambda value: str(value) if isinstance(value, int) else f"{value:.4f}"

    def rest_of(section):
        added = [f"{key} = {show(left.pop((where, key)))}" for where, key in list(left) if where == section]
        while added and lines and not lines[-1].strip():
            lines.pop()
        lines.extend(added + [""] if added else [])

    for line in FLOOR.read_text().splitlines():
        if header := re.match(r"\[([^\]]+)\]", line):
            rest_of(section)
            section = header[1]
        elif (pair := re.match(r"([\w-]+) = ([\d.]+)$", line)) and (section, pair[1]) in left:
            new = left.pop((section, pair[1]))
            line = f"{pair[1]} = {show(better(section, type(new)(float(pair[2])), new))}"
        elif line.startswith("#") and lines and not lines[-1].strip():
            # A comment above a header belongs to the header: finish the section before it.
            rest_of(section)
        lines.append(line)
    rest_of(section)
    FLOOR.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    sys.exit(main())
