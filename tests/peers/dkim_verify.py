#!/usr/bin/env python3
"""Verifies the first DKIM signature of each file with dkimpy, whose keys come from the command line:

    dkim_verify.py NAME RECORD FILE...      prints "pass" or "fail" for each
"""
import sys

import dkim

name, record, files = sys.argv[1], sys.argv[2], sys.argv[3:]


def look_up(asked, timeout=5):
    asked = asked.decode() if isinstance(asked, bytes) else asked
    return record.encode() if asked.rstrip(".") == name else None


for file in files:
    with open(file, "rb") as message:
        print("pass" if dkim.verify(message.read(), dnsfunc=look_up) else "fail")
