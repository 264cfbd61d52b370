# SPDX-License-Identifier: BSD-3-Clause
"""Runs what the host asks for, in the guest. One request at a time comes as a line of JSON over the
second serial port; what the program prints goes back line by line, and its exit status at the end.

    {"run": ["program", ...], "env": {...}}   ->  {"line": text}*  {"status": number}

Should it end, so does the guest's first process, and the machine stops."""

import json
import os
import subprocess
import sys
import termios
import tty

PORT = "/dev/ttyS1"


def say(port, **what):
    port.write(json.dumps(what).encode() + b"\n")


def serve(port, request):
    try:
        child = subprocess.Popen(request["run"], env={**os.environ, **request.get("env", {})},
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, cwd="/", start_new_session=True)
    except OSError as error:
        say(port, line=f"{request['run'][0]}: {error.strerror}")
        say(port, status=127)
        return
    for line in child.stdout:
        say(port, line=line.decode(errors="replace").rstrip("\n"))
    say(port, status=child.wait())


def main():
    port = open(PORT, "r+b", buffering=0)
    tty.setraw(port, termios.TCSANOW)
    say(port, ready=os.uname().release)
    for line in port:
        serve(port, json.loads(line))


if __name__ == "__main__":
    sys.exit(main())
