"""Somebody at charon's socket who is not charon: speaks VICI well enough to be believed, badly, or not at all.

    with FakeCharon(lab["fw-a"], "good") as fake:
        fake.wait_for_command("initiate")       # the instant (CLOCK_MONOTONIC, ns) at which it was read

Modes: good; bytes (good, every byte a write of its own); mute (reads, never answers); noise (random bytes); huge (a segment
of 4 GiB is announced); liar (512 KiB are announced, and never come); fat (512 KiB of sections come); deep (sections
inside sections); unknown (knows no command and no event); hangup (closes after each request); late (answers after 2 s).
"""

import os
import random
import select
import socket
import struct
import threading
import time

from lab import now_ns, wait_for

MODES = ("good", "bytes", "mute", "noise", "huge", "liar", "fat", "deep", "unknown", "hangup", "late")
REQUEST, RESPONSE, UNKNOWN, REGISTER, UNREGISTER, CONFIRM, EVENT_UNKNOWN, EVENT = range(8)
SEGMENT_MAX = 512 * 1024


def pair(key, value):
    return struct.pack("!BB", 3, len(key)) + key.encode() + struct.pack("!H", len(value)) + value.encode()


def begin(name):
    return struct.pack("!BB", 1, len(name)) + name.encode()


END = b"\x02"
VERSION = pair("daemon", "charon") + pair("version", "5.9.8") + pair("sysname", "Linux") + pair("release", "6") + \
    pair("machine", "x86_64")
ANSWERS = {"version": VERSION, "initiate": pair("success", "yes"), "rekey": pair("success", "yes") + pair("matches", "0"),
           "terminate": pair("success", "no") + pair("matches", "0") + pair("terminated", "0") +
           pair("errmsg", "no matching SAs to terminate found")}


class FakeCharon:
    """One thread; use it as a context manager."""

    def __init__(self, machine, mode="good"):
        self.mode, self.random = mode, random.Random(5)
        self.commands = []  # (instant, name)
        self.connections = 0
        self.path = "/proc/%d/root/run/charon.vici" % machine.holder.pid
        self.ending, self.thread = threading.Event(), threading.Thread(target=self._run, daemon=True)
        self.clients = {}  # socket: bytes not yet understood
        self.waiting = []  # (due, socket, bytes)

    def __enter__(self):
        if os.path.lexists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        for client in list(self.clients):
            client.close()
        self.listener.close()
        os.unlink(self.path)

    def wait_for_command(self, name, since=0, seconds=10.0):
        return wait_for("the command " + name, lambda: next(
            (t for t, n in list(self.commands) if n == name and t >= since), None), seconds, 0.005)

    # ---- the thread

    def _run(self):
        while not self.ending.is_set():
            ready = select.select([self.listener] + list(self.clients), [], [], 0.02)[0]
            for s in ready:
                if s is self.listener:
                    client = s.accept()[0]
                    self.connections += 1
                    self.clients[client] = b""
                    if self.mode == "noise":
                        self._send(client, self.random.randbytes(3000))
                else:
                    self._read(s)
            for item in [w for w in self.waiting if w[0] <= time.monotonic()]:
                self.waiting.remove(item)
                self._send(item[1], item[2])

    def _drop(self, client):
        self.clients.pop(client, None)
        client.close()

    def _read(self, client):
        try:
            data = client.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        rest = self.clients[client] + data
        while len(rest) >= 4 and len(rest) >= 4 + struct.unpack("!I", rest[:4])[0]:
            size = struct.unpack("!I", rest[:4])[0]
            self._packet(client, rest[4:4 + size])
            rest = rest[4 + size:]
        if client in self.clients:
            self.clients[client] = rest

    def _packet(self, client, packet):
        kind, name = packet[0], packet[2:2 + packet[1]].decode()
        if kind == REQUEST:
            self.commands.append((now_ns(), name))
        reply = {"good": self._good, "bytes": self._good, "late": self._good, "mute": lambda *_: None,
                 "noise": lambda *_: self.random.randbytes(5000),
                 "huge": lambda *_: b"\xff\xff\xff\xf0" + b"\x01" * 1000,
                 "liar": lambda *_: struct.pack("!IB", SEGMENT_MAX, RESPONSE) + b"\x03" * 50,
                 "fat": self._fat, "deep": self._deep, "hangup": lambda *_: b"",
                 "unknown": lambda k, _: struct.pack("!IB", 1, UNKNOWN if k == REQUEST else EVENT_UNKNOWN)}[self.mode](kind, name)
        if self.mode == "hangup":
            self._drop(client)
        elif self.mode == "late":
            self.waiting.append((time.monotonic() + 2.0, client, reply))
        elif reply and client in self.clients:
            self._send(client, reply)

    def _good(self, kind, name):
        if kind in (REGISTER, UNREGISTER):
            return struct.pack("!IB", 1, CONFIRM)
        return self._segment(ANSWERS.get(name, b""))

    @staticmethod
    def _segment(body):
        return struct.pack("!IB", 1 + len(body), RESPONSE) + body

    def _fat(self, kind, name):
        """As much as a segment may hold, all of it well formed, in every answer to a command."""
        if kind != REQUEST:
            return self._good(kind, name)
        body = ANSWERS.get(name, b"")
        one = begin("n" * 200) + pair("k" * 200, "v" * 60000) + END
        return self._segment(body + one * ((SEGMENT_MAX - 1 - len(body)) // len(one)))

    def _deep(self, kind, name):
        if kind != REQUEST:
            return self._good(kind, name)
        return self._segment(begin("s") * 20000 + END * 20000)

    def _send(self, client, data):
        try:
            client.settimeout(2)
            if self.mode == "bytes":
                for i in range(len(data)):
                    client.send(data[i:i + 1])
            else:
                client.sendall(data)
        except OSError:
            self._drop(client)
