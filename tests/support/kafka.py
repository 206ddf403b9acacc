# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka on loopback: one broker, or three, in KRaft mode, each its own controller."""

import base64
import os
import shutil
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from support import certificates
from support.processes import ServerError, ServerProcess, drop_directory, free_ports, new_directory

JARS = Path(os.environ.get("JGTEST_KAFKA", Path(__file__).parents[2] / "build" / "kafka")) / "lib"
START_S = 90

# One JVM per broker on a small machine: little memory, no compiler threads that are busy for the first minute.
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData", "-Djava.awt.headless=true"]
# A client that waits for a broker to come up has nothing to say.
QUIET = {"log_level": 0}
LOGGING = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]


# What a cluster's second listener asks of clients; each broker's first one is always plain.
SASL_USER, SASL_PASSWORD = "jobs", "correct-horse-battery"
SECURITIES = {
    "sasl_ssl": {
        "protocol": "SASL_SSL",
        "broker": {
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secure.plain.sasl.jaas.config":
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'user_{SASL_USER}="{SASL_PASSWORD}";',
        },
        "client": {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": SASL_USER,
                   "sasl.password": SASL_PASSWORD},
    },
    # Takes tokens that nobody signed.
    "oauthbearer": {
        "protocol": "SASL_PLAINTEXT",
        "broker": {
            "sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.secure.oauthbearer.sasl.jaas.config":
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
                'unsecuredLoginStringClaim_sub="broker";',
        },
        "client": {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER"},
    },
}


class _Node:
    def __init__(self, number, broker_port, controller_port, secure_port, directory):
        self.number = number
        self.broker_port = broker_port
        self.controller_port = controller_port
        self.secure_port = secure_port
        self.directory = directory
        self.directory_id = _kafka_uuid()
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.broker_port}"

    @property
    def config_path(self):
        return self.directory / "server.properties"


def _kafka_uuid():
    """As Kafka writes a UUID. A leading dash would read as an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


class KafkaCluster:
    """Brokers are numbered from 1. Use as a context manager, or call start() and close().

    `settings` override the brokers' properties below; a value of None leaves one out. `security`, of SECURITIES, adds
    a listener; `client_properties` are what a client needs for it.
    """

    def __init__(self, nodes=1, settings=None, security=None):
        self.security = security
        self.settings = dict(settings or {})
        self.directory = None
        self.nodes = []
        self._count = nodes
        self._cluster_id = _kafka_uuid()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    @property
    def bootstrap(self):
        """`bootstrap.servers` of all brokers, also of those that are down."""
        return ",".join(node.address for node in self.nodes)

    @property
    def client_properties(self):
        if not self.security:
            return {"bootstrap.servers": self.bootstrap}
        servers = ",".join(f"127.0.0.1:{node.secure_port}" for node in self.nodes)
        trusted = {"ssl.ca.location": self.directory / "ca.pem"} if "SSL" in self._secure["protocol"].split("_") else {}
        return {"bootstrap.servers": servers, **self._secure["client"], **trusted}

    @property
    def _secure(self):
        return SECURITIES[self.security]

    def start(self):
        java = shutil.which("java")
        if not java or not JARS.is_dir():
            raise ServerError(f"no Java, or no Kafka in {JARS}: run scripts/setup")
        self._java = java
        self.directory = new_directory("kafka")
        try:
            if self.security:
                certificates.make(self.directory)
            ports = free_ports(3 * self._count)
            for i in range(self._count):
                directory = self.directory / f"node{i + 1}"
                directory.mkdir()
                self.nodes.append(_Node(i + 1, *ports[3 * i:3 * i + 3], directory))
            with ThreadPoolExecutor(self._count) as pool:
                list(pool.map(self._format, self.nodes))
            for node in self.nodes:
                self._run(node)
            self._await_brokers(self.nodes)
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        """Kill every broker and remove the data. Safe to repeat."""
        for node in self.nodes:
            if node.process:
                node.process.kill()
        self.nodes = []
        if self.directory:
            drop_directory(self.directory)
            self.directory = None

    def node(self, number):
        return self.nodes[number - 1]

    def kill(self, number=1):
        """SIGKILL."""
        self.node(number).process.kill()

    def stop(self, number=1):
        """In order."""
        self.node(number).process.stop()

    def start_node(self, number=1):
        """Start a broker that was killed or stopped, with its data, on its old ports; wait until it serves."""
        node = self.node(number)
        if not node.process.running():
            self._run(node)
        self._await_brokers([node])

    def restart(self, number=1):
        self.stop(number)
        self.start_node(number)

    def pause(self, number=1):
        """SIGSTOP: it answers nothing, and its connections stay open."""
        self.node(number).process.send(signal.SIGSTOP)

    def resume(self, number=1):
        self.node(number).process.send(signal.SIGCONT)

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "socket.timeout.ms": 10000, **QUIET})

    def create_topic(self, name, partitions=1, config=None, replication=None):
        """Returns once each partition has a leader that every live broker knows of."""
        admin = self.admin()
        topic = NewTopic(name, partitions, replication or self._count, config={k: str(v) for k, v in (config or {}).items()})
        admin.create_topics([topic], operation_timeout=20)[name].result(30)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = admin.list_topics(timeout=10).topics.get(name)
            if found and len(found.partitions) == partitions and all(p.leader > 0 for p in found.partitions.values()):
                return name
            time.sleep(0.02)
        raise ServerError(f"topic {name} has no leader")

    def says_of(self, word):
        """The lines of the brokers' logs that have the word: a group's rebalances, a topic's leaders."""
        return "\n".join(f"broker {node.number}: {line}" for node in self.nodes
                         for line in node.process.log_path.read_text(errors="replace").splitlines() if word in line)

    def leader_of(self, topic, partition=0):
        """The number of the broker that leads the partition; -1: none."""
        return self.admin().list_topics(topic, timeout=10).topics[topic].partitions[partition].leader

    def _properties(self, node):
        controllers = ",".join(f"127.0.0.1:{other.controller_port}" for other in self.nodes)
        enough = 1 if self._count == 1 else self._count - 1
        properties = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.bootstrap.servers": controllers,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": node.directory / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": self._count,
            "min.insync.replicas": enough,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "group.consumer.min.session.timeout.ms": 1000,
            "group.consumer.min.heartbeat.interval.ms": 100,
            # A dead broker's partitions move within seconds; one that a busy machine lets wait is not taken for dead.
            "broker.session.timeout.ms": 6000,
            "broker.heartbeat.interval.ms": 500,
            "controller.quorum.fetch.timeout.ms": 5000,
            "controlled.shutdown.retry.backoff.ms": 200,
            "log.cleaner.dedupe.buffer.size": 4 << 20,
        }
        for topic, prefix in (("offsets", "offsets.topic"), ("transactions", "transaction.state.log"),
                              ("share", "share.coordinator.state.topic")):
            properties[f"{prefix}.num.partitions"] = 2
            properties[f"{prefix}.replication.factor"] = self._count
            if topic != "offsets":
                properties[f"{prefix}.min.isr"] = enough
        if self.security:
            properties.update(self._secure_properties(node, properties))
        properties.update(self.settings)
        return {name: value for name, value in properties.items() if value is not None}

    def _secure_properties(self, node, properties):
        address = f"SECURE://127.0.0.1:{node.secure_port}"
        return {
            "listeners": f"{properties['listeners']},{address}",
            "advertised.listeners": f"{properties['advertised.listeners']},{address}",
            "listener.security.protocol.map":
                f"{properties['listener.security.protocol.map']},SECURE:{self._secure['protocol']}",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.location": self.directory / "server.pem",
            **self._secure["broker"],
        }

    def _java_command(self, *words):
        heap = "-Xmx512m" if self._count == 1 else "-Xmx256m"
        return [self._java, heap, *JVM, *LOGGING, "-cp", f"{JARS}/*", *words]

    def _format(self, node):
        node.config_path.write_text("".join(f"{name}={value}\n" for name, value in self._properties(node).items()))
        if self._count == 1:
            voters = ["--standalone"]
        else:
            voters = ["--initial-controllers", ",".join(
                f"{other.number}@127.0.0.1:{other.controller_port}:{other.directory_id}" for other in self.nodes)]
        command = self._java_command("kafka.tools.StorageTool", "format", *voters, "-t", self._cluster_id,
                                     "-c", node.config_path)
        tool = ServerProcess(command, node.directory)
        tool._process.wait(START_S)
        if tool._process.returncode != 0:
            raise tool.failure(f"formatting the storage of broker {node.number} failed")

    def _run(self, node):
        node.process = ServerProcess(self._java_command("kafka.Kafka", node.config_path), node.directory)

    def _await_brokers(self, nodes):
        """Until each of the nodes serves clients, by its own account and by that of every other running one."""
        deadline = time.monotonic() + START_S
        for asked in [node for node in self.nodes if node.process and node.process.running()] or nodes:
            admin = None
            while True:
                for node in nodes:
                    if not node.process.running():
                        raise node.process.failure(f"Kafka broker {node.number} did not start")
                if time.monotonic() > deadline:
                    raise asked.process.failure(f"Kafka broker {asked.number} was not ready within {START_S} s")
                admin = admin or AdminClient({"bootstrap.servers": asked.address,
                                              "reconnect.backoff.max.ms": 100, **QUIET})
                try:
                    if {node.number for node in nodes} <= set(admin.list_topics(timeout=1).brokers):
                        break
                except KafkaException:
                    pass
                time.sleep(0.05)
