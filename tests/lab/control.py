"""The control socket of a daemon in a namespace (docs/control-protocol.md); cheaper than a ktsh process."""

import json
import socket

from lab import LabError


def ask(pid, path, command, args, seconds):
    """The data of one answer. pid: a process in the daemon's mount namespace, path: the socket there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(seconds)
        s.connect("/proc/%d/root%s" % (pid, path))
        s.sendall(json.dumps({"v": 1, "id": 1, "cmd": command, "args": args}).encode() + b"\n")
        data = None
        for line in s.makefile(encoding="utf-8"):
            answer = json.loads(line)
            if not answer.get("end"):
                data = answer["data"]
            elif answer["status"] == "ok":
                return data
            else:
                raise LabError("%s: %s" % (command, answer.get("message")))
    raise LabError("%s: the answer has no end" % command)
