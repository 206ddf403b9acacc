# SPDX-License-Identifier: Apache-2.0
"""Stands between clients and one broker, and does something at a chosen moment of a chosen client's requests."""

import socket
import struct
import threading
from typing import Callable, NamedTuple

PRODUCE, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 0, 24, 25, 26, 28
WAIT_S = 10
OVERTAKE_S = 3


class _Trigger(NamedTuple):
    client_id: str
    api_key: int
    when: str
    act: Callable[[], None]


class _Dropped(Exception):
    """The trigger was pulled: this connection is no more."""


class KafkaProxy:
    """Clients come to it because the broker advertises `address`; find_port() is where the broker listens, asked for
    each connection. Use as a context manager."""

    def __init__(self, find_port, own_port=0):
        self._find_port = find_port
        self._lock = threading.Lock()
        self._trigger, self._left = None, 0
        self._misdirected = None
        self._pulled = threading.Event()
        self._sockets = set()
        self._listener = socket.create_server(("127.0.0.1", own_port), backlog=128)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._sockets)
        for each in left:
            self._drop(each)

    def arm(self, client_id, api_key, when, act, nth=1):
        """Once, at the nth request with that key that this client sends from now on: act(), and drop the connection.
        `when`: "before" it is passed on, as soon as it is "sent", or "answered", which the client does not learn.
        """
        assert when in ("before", "sent", "answered")
        with self._lock:
            self._pulled.clear()
            self._trigger, self._left = _Trigger(client_id, api_key, when, act), nth

    def disarm(self):
        with self._lock:
            self._trigger = None

    def refuse_first(self, client_id, topic):
        """Once: the next request of this client that produces to a partition of `topic` is answered as by a broker that
        does not know the partition yet, and not before the client has sent another, or some seconds have passed."""
        name = topic.encode()
        with self._lock:
            self._pulled.clear()
            self._misdirected = client_id, struct.pack(">h", len(name)) + name + struct.pack(">i", 1)

    def await_pulled(self, timeout_s):
        """True: act() has returned."""
        return self._pulled.wait(timeout_s)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._find_port()), WAIT_S)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, broker}
            awaited = {}  # correlation id: what is to be done when the answer is there
            for work in (self._pass_requests, self._pass_answers):
                threading.Thread(target=self._serve, args=(work, client, broker, awaited), daemon=True).start()

    def _serve(self, work, client, broker, awaited):
        try:
            while True:
                work(client, broker, awaited)
        except (OSError, EOFError, _Dropped):
            self._drop(client)
            self._drop(broker)

    def _drop(self, each):
        try:
            each.shutdown(socket.SHUT_RDWR)  # wakes the other thread, too
        except OSError:
            pass
        each.close()
        with self._lock:
            self._sockets.discard(each)

    def _pass_requests(self, client, broker, awaited):
        frame = _read_frame(client)
        api_key, _, correlation, id_bytes = struct.unpack_from(">hhih", frame, 4)
        client_id = frame[14:14 + id_bytes].decode() if id_bytes >= 0 else None
        trigger = self._match(client_id, api_key)
        if trigger and trigger.when == "before":
            self._pull(trigger)
        if trigger and trigger.when == "answered":
            awaited[correlation] = trigger
        if api_key == PRODUCE:
            for each in [each for each in awaited.values() if isinstance(each, threading.Event)]:
                each.set()
            frame = self._misdirect(client_id, frame, correlation, awaited)
        broker.sendall(frame)
        if trigger and trigger.when == "sent":
            self._pull(trigger)

    def _pass_answers(self, client, broker, awaited):
        frame = _read_frame(broker)
        (correlation,) = struct.unpack_from(">i", frame, 4)
        waiting = awaited.pop(correlation, None)
        if isinstance(waiting, threading.Event):
            waiting.wait(OVERTAKE_S)
        elif waiting:
            self._pull(waiting)
        client.sendall(frame)

    def _misdirect(self, client_id, frame, correlation, awaited):
        """The broker is asked for a partition that there is not."""
        with self._lock:
            wanted, pattern = self._misdirected or (None, b"")
            at = frame.find(pattern) if client_id == wanted else -1
            if not pattern or at < 0:
                return frame
            self._misdirected = None
        at += len(pattern)
        awaited[correlation] = threading.Event()
        self._pulled.set()
        return frame[:at] + struct.pack(">i", 9999) + frame[at + 4:]

    def _match(self, client_id, api_key):
        with self._lock:
            trigger = self._trigger
            if not trigger or (client_id, api_key) != (trigger.client_id, trigger.api_key):
                return None
            self._left -= 1
            if self._left:
                return None
            self._trigger = None
            return trigger

    def _pull(self, trigger):
        trigger.act()
        self._pulled.set()
        raise _Dropped


def _read_frame(source):
    """A size, and so many bytes: a request or an answer, as it goes over the wire."""
    head = _read(source, 4)
    return head + _read(source, *struct.unpack(">i", head))


def _read(source, count):
    data = bytearray()
    while len(data) < count:
        piece = source.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
