#!/usr/bin/env python3
"""What fifty people at the console cost the mail: the burst of `lychgate bench` with them and without, one after the other.

    benches/desk.py                     build for release, and measure
    benches/desk.py --binary F          a gateway that is built already
    benches/desk.py --users 200 --pause 0.5     more of them, in more of a hurry

Each of them looks at a page every few seconds, as people do who read. It fails where mail is slower than `keep` of what it is without
them, or where a page is not what it should be. Python 3.11 and nothing else; all on loopback.
"""
import argparse
import http.client
import json
import pathlib
import random
import re
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from floor import built  # noqa: E402

DOMAIN = "council.bench.example"
PEOPLE = 8  # One address signs in, from one place, as often as this in a quarter of an hour and not much more.
PAGES = ["/", "/", "/held", "/find", "/rules", "/papers", "/papers/notice", "/access"]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--binary")
    a.add_argument("--users", type=int, default=50)
    a.add_argument("--pause", type=float, default=4.0, help="seconds between two pages of one person, about")
    a.add_argument("--pairs", type=int, default=5)
    a.add_argument("--messages", type=int, default=12000)
    a.add_argument("--keep", type=float, default=0.9)
    options = a.parse_args()
    if options.pairs < 2:
        a.error("quartiles take at least two pairs")
    binary = options.binary or built(["build", "--release", "--bin", "lychgate"], "lychgate")
    with tempfile.TemporaryDirectory(prefix="lychgate-desk-") as folder:
        return measure(options, binary, pathlib.Path(folder))


def measure(options, binary, folder):
    mail, console, sink = free_port(), free_port(), free_port()
    (folder / "rules").mkdir()
    (folder / "lychgate.toml").write_text(site(mail, console, sink))
    for rules in sorted((pathlib.Path(__file__).resolve().parent.parent / "rules" / "shared").glob("*.toml")):
        (folder / "rules" / rules.name).write_text(rules.read_text())
    log = open(folder / "log", "w")
    gateway = subprocess.Popen([binary, "serve", "--config", folder / "lychgate.toml"], stdout=log, stderr=log)
    try:
        for port in (mail, console):
            wait_for(port, gateway, folder)
        cookies = signed_in(console, sink)
        speeds = {False: [], True: []}
        burst(binary, mail, sink, options.messages // 5)
        pages, slow = 0, []
        for pair in range(options.pairs):
            for with_people in ([False, True] if pair % 2 == 0 else [True, False]):
                crowd = Crowd(console, cookies, options) if with_people else None
                speeds[with_people].append(burst(binary, mail, sink, options.messages))
                if crowd:
                    seen, took = crowd.leave()
                    pages += seen
                    slow += took
    finally:
        gateway.terminate()
        gateway.wait(30)
    with_them, without = (statistics.median(speeds[w]) for w in (True, False))
    # What slows the machine down by and by meets both of a pair.
    ratios = sorted(a / b for a, b in zip(speeds[True], speeds[False]))
    ratio, (low_quarter, _, high_quarter) = statistics.median(ratios), statistics.quantiles(ratios, n=4)
    slow.sort()
    low = ratio < options.keep
    print(f"{'low ' if low else 'ok  '}  {options.users} people at the desk: {pages} pages, half of them within {1000 * slow[len(slow) // 2]:.0f} ms, "
          f"19 of 20 within {1000 * slow[len(slow) * 19 // 20]:.0f} ms")
    print(f"      mail: {with_them:,.0f} messages/s with them, {without:,.0f} without; of {options.pairs} pairs the middle one {ratio:.3f}, "
          f"half of them from {low_quarter:.3f} to {high_quarter:.3f}; at least {options.keep}", flush=True)
    return 1 if low else 0


def burst(binary, mail, sink, messages):
    """Messages a second."""
    command = [binary, "bench", "--json", "--repeat", "1", "--to", f"127.0.0.1:{mail}", "--sink", f"127.0.0.1:{sink}",
               "--messages", str(messages), "--connections", "20", "--per-connection", "0"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)["gateway"]["messages_per_second"]


class Crowd:
    """People who look at pages until they leave."""

    def __init__(self, port, cookies, options):
        self.over = threading.Event()
        self.took, self.faults = [], []
        self.threads = [threading.Thread(target=self.look, args=(port, cookies[n % len(cookies)], n, options)) for n in range(options.users)]
        for thread in self.threads:
            thread.start()

    def look(self, port, cookie, n, options):
        chance = random.Random(n)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not self.over.wait(chance.uniform(0.5, 1.5) * options.pause if self.took else chance.uniform(0, options.pause)):
            page, began = chance.choice(PAGES), time.monotonic()
            try:
                connection.request("GET", page, headers={"Cookie": cookie})
                answer = connection.getresponse()
                text = answer.read()
            except (http.client.HTTPException, OSError):
                # The gateway closes what is idle; a browser comes again, too.
                connection.close()
                continue
            if answer.status != 200 or b"Sign out" not in text:
                self.faults.append(f"{page}: {answer.status}")
            self.took.append(time.monotonic() - began)
        connection.close()

    def leave(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.faults or not self.took:
            sys.exit(f"pages failed: {self.faults[:5] or 'none was answered'}")
        return len(self.took), self.took


class Letters(socketserver.StreamRequestHandler):
    """Takes the gateway's letters, for the links that stand in them."""

    def handle(self):
        say = lambda line: self.wfile.write(line + b"\r\n")
        say(b"220 sink")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                say(b"354 go on")
                text = b""
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    text += line
                found = re.search(rb"/sign-in/link\?key=(\S+)", text.replace(b"=\r\n", b"").replace(b"=3D", b"="))
                if found:
                    self.server.links.append(found[1].decode())
                say(b"250 kept")
            elif word == b"QUIT":
                return say(b"221 bye")
            else:
                say(b"250 sink")


def signed_in(console, sink):
    """Cookies of sessions, one for each person."""
    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    with Server(("127.0.0.1", sink), Letters) as server:
        server.links = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for n in range(PEOPLE):
            post(console, "/sign-in", {"address": f"user{n}@{DOMAIN}"})
        until = time.monotonic() + 30
        while len(server.links) < PEOPLE and time.monotonic() < until:
            time.sleep(0.05)
        server.shutdown()
    cookies = [post(console, "/sign-in/link", {"link": link}).getheader("set-cookie", "").split(";")[0] for link in server.links]
    if len(cookies) < PEOPLE or not all(cookies):
        sys.exit(f"only {len(cookies)} of {PEOPLE} people could sign in")
    return cookies


def post(port, path, fields):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    answer.read()
    return answer


def site(mail, console, sink):
    people = "".join(f'[people.user{n}]\naddress = "user{n}@{DOMAIN}"\nroles = ["clerk"]\n\n' for n in range(PEOPLE))
    return f"""[council]
name    = "Bench Parish Council"
domains = ["{DOMAIN}"]
clerk   = "clerk@{DOMAIN}"

[rules]
paths = ["rules"]

[[listener]]
name     = "burst"
role     = "connector"
bind     = "127.0.0.1:{mail}"
tls      = "none"
upstream = "sink"
trust    = {{ networks = ["127.0.0.0/8"] }}

[upstream.sink]
address = "127.0.0.1:{sink}"
tls     = "none"

[monitoring]
purposes          = ["effective-operation"]
notice-version    = "bench"
notice-date       = 2026-05-14
impact-assessment = "bench"

[records]
database = "sqlite:lychgate.db"
key-file = "site.key"

[console]
bind = "127.0.0.1:{console}"
url  = "http://127.0.0.1:{console}"

{people}"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, gateway, folder):
    until = time.monotonic() + 30
    while time.monotonic() < until and gateway.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the gateway did not answer:\n{(folder / 'log').read_text()[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
