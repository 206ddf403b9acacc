# SPDX-License-Identifier: Apache-2.0
"""A real Redis on loopback and on a Unix socket, which can be killed, paused, emptied and taken back in time."""

import shutil
import signal
import time
from urllib.parse import quote

import redis

from support.processes import ServerError, ServerProcess, drop_directory, free_ports, new_directory

START_S = 20


class RedisServer:
    """Use as a context manager, or call start() and close().

    Nothing is written to disk unless `appendonly` is set or a method below does: so kill() and start() lose all data.
    `password` is the default user's. `users` maps a name to its ACL rules: {"jobs": "on >secret ~jg1:* &* +@all"}.
    `settings` are further lines of redis.conf. `binary` is another server to run.
    """

    def __init__(self, appendonly=False, password=None, users=None, settings=None, binary="redis-server"):
        self.password = password
        self.port = None
        self.directory = None
        self._appendonly = appendonly
        self._users = dict(users or {})
        self._settings = dict(settings or {})
        self._binary = binary
        self._process = None
        self._snapshots = 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Start, or start again with whatever is on disk, on the same port and socket; wait until it answers."""
        binary = shutil.which(self._binary)
        if not binary:
            raise ServerError(f"no {self._binary}: run scripts/setup")
        if not self.directory:
            self.directory = new_directory("redis")
            self.data.mkdir()
            (self.port,) = free_ports(1)
        self._write_config()
        if not self.running():
            self._process = ServerProcess([binary, self.directory / "redis.conf"], self.directory)
        self._await_ready()
        return self

    def close(self):
        """Kill it and remove its data. Safe to repeat."""
        if self._process:
            self._process.kill()
            self._process = None
        if self.directory:
            drop_directory(self.directory)
            self.directory = None

    @property
    def data(self):
        return self.directory / "data"

    @property
    def socket_path(self):
        return self.directory / "redis.sock"

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process is not None and self._process.running()

    def url(self, database=0, user=None, password=None):
        """For `jobgate.store`."""
        return f"redis://{self._userinfo(user, password)}127.0.0.1:{self.port}/{database}"

    def unix_url(self, database=0, user=None, password=None):
        return f"redis+unix://{self._userinfo(user, password)}{self.socket_path}?db={database}"

    def client(self, database=0, **options):
        """A connection as the default user."""
        return redis.Redis(host="127.0.0.1", port=self.port, password=self.password, db=database,
                           **{"decode_responses": True, "socket_timeout": 10, **options})

    def flush(self):
        """Forget the data, the scripts and the counters; keep the server."""
        with self.client() as client:
            client.flushall()
            client.script_flush()
            client.config_resetstat()

    def kill(self):
        """SIGKILL."""
        self._process.kill()

    def stop(self):
        """In order; what it holds is saved, for start()."""
        self.resume()
        with self.client() as client:
            client.save()
        self._process.stop()

    def restart(self):
        """In order, keeping the data."""
        self.stop()
        return self.start()

    def restart_empty(self):
        """Killed, and back with nothing."""
        self._process.kill()
        self._put_back(None)
        return self.start()

    def snapshot(self):
        """Copy the data as it is now; returns what restart_from() takes."""
        with self.client() as client:
            client.save()
            self._append_all(client)
        self._snapshots += 1
        copy = self.directory / f"snapshot{self._snapshots}"
        shutil.copytree(self.data, copy)
        return copy

    def _append_all(self, client):
        """With appendfsync=everysec Redis keeps writes back while the disk is slow; with always it does not."""
        if self._appendonly:
            usual = client.config_get("appendfsync")["appendfsync"]
            client.config_set("appendfsync", "always")
            client.config_set("appendfsync", usual)

    def restart_from(self, snapshot):
        """Killed, and back with the data of that snapshot, whatever happened since."""
        self._process.kill()
        self._put_back(snapshot)
        return self.start()

    def pause(self):
        """SIGSTOP: it answers nothing, and its connections stay open."""
        self._process.send(signal.SIGSTOP)

    def resume(self):
        self._process.send(signal.SIGCONT)

    def _userinfo(self, user, password):
        password = password or self.password
        if not password:
            return ""
        return f"{quote(user or '', safe='')}:{quote(password, safe='')}@"

    def _put_back(self, snapshot):
        shutil.rmtree(self.data)
        if snapshot:
            shutil.copytree(snapshot, self.data)
        else:
            self.data.mkdir()

    def _write_config(self):
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"unixsocket {self.socket_path}",
            f"dir {self.data}",
            'save ""',
            f"appendonly {'yes' if self._appendonly else 'no'}",
            "maxmemory-policy noeviction",
        ]
        if self.password:
            lines.append(f"requirepass {self.password}")
        lines += [f"user {name} {rules}" for name, rules in self._users.items()]
        lines += [f"{name} {value}" for name, value in self._settings.items()]
        (self.directory / "redis.conf").write_text("\n".join(lines) + "\n")

    def _await_ready(self):
        deadline = time.monotonic() + START_S
        while True:
            try:
                with self.client(socket_timeout=1) as client:
                    # Another server may have been quicker with this port.
                    if client.info("server")["process_id"] == self._process.pid:
                        return
            except redis.exceptions.AuthenticationError as error:
                raise self._process.failure(f"Redis refused the harness: {error}") from None
            except redis.exceptions.RedisError:
                pass
            if not self._process.running():
                raise self._process.failure("Redis did not start")
            if time.monotonic() > deadline:
                raise self._process.failure(f"Redis was not ready within {START_S} s")
            time.sleep(0.01)
