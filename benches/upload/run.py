#!/usr/bin/env python3
"""Uploads a file of 1 GiB by several clients in turn and prints what it took: see README.md."""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = HERE / "target" / "release"
CONTESTANTS = {
    "this module": [BIN / "ours"],
    "object_store": [BIN / "object_store"],
    "boto3": [sys.executable, HERE / "boto.py"],
}
FLOOR = {"a socket alone": [BIN / "floor"]}


def server(name):
    """A process, and the settings of the server that it runs."""
    if name == "sink":
        process = subprocess.Popen([BIN / "sink"], stdout=subprocess.PIPE, text=True)
        return process, {"ENDPOINT": process.stdout.readline().strip(), "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    command = ["cargo", "xtask", "s3", name]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    settings = {}
    while "SECRET_ACCESS_KEY" not in settings:
        line = process.stdout.readline()
        if not line:
            sys.exit(f"{name} did not start")
        found = re.match(r"\s+OBJECT_STORE_S3_(\w+)=(\S+)", line)
        if found:
            settings[found[1]] = found[2]
    made = {f"OBJECT_STORE_S3_{name}": value for name, value in settings.items()}
    with tempfile.TemporaryDirectory() as directory:
        made["OBJECT_STORE_DATABASE_URL"] = f"sqlite:{directory}/bench.db"
        subprocess.run(["cargo", "xtask", "migrate"], cwd=ROOT, env={**os.environ, **made}, check=True, stdout=sys.stderr)
    return process, settings


def run(command, settings, file):
    names = {f"BENCH_{name}": value for name, value in settings.items()}
    environment = {**os.environ, **names, "BENCH_BUCKET": "object-store", "BENCH_KEY": "bench/body", "BENCH_FILE": file}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--server", default="sink", choices=["sink", "embedded", "rgw", "swift", "moto", "garage"])
    arguments.add_argument("--mib", type=int, default=1024)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE, check=True)
    contestants = {**CONTESTANTS, **(FLOOR if options.server == "sink" else {})}
    process, settings = server(options.server)
    results = {name: [] for name in contestants}
    try:
        with tempfile.NamedTemporaryFile() as file:
            for _ in range(options.mib):
                file.write(os.urandom(1 << 20))
            file.flush()
            for number in range(options.rounds + 1):
                names = list(contestants)
                # The first round only warms up; whoever begins differs from round to round.
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    result = run(contestants[name], settings, file.name)
                    if number > 0:
                        results[name].append(result)
    finally:
        process.terminate()
        process.wait()
    ours = results["this module"]
    print(f"{options.mib} MiB to {options.server}, {options.rounds} rounds: minimum, median, maximum\n")
    print("| client | MiB/s | MiB above idle | throughput of this module in terms of it, round by round |")
    print("|---|---|---|---|")
    for name, rounds in results.items():
        speeds = sorted(options.mib / one["seconds"] for one in rounds)
        memory = sorted(one["kib_above_idle"] / 1024 for one in rounds)
        ratios = sorted(other["seconds"] / own["seconds"] for own, other in zip(ours, rounds))
        shown = [f"{values[0]:{form}} {statistics.median(values):{form}} {values[-1]:{form}}" for values, form in
                 [(speeds, ".0f"), (memory, ".1f"), (ratios, ".2f")]]
        print(f"| {name} | {' | '.join(shown)} |")


main()
