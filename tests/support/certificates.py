# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own, and a server's certificate for loopback."""

import subprocess

DAYS = 2


def _openssl(directory, *words):
    subprocess.run(["openssl", *map(str, words)], cwd=directory, check=True, capture_output=True, timeout=60)


def make(directory):
    """Leaves `ca.pem`, for clients, and `server.pem`: a private key, its certificate and the authority's."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(directory, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", DAYS,
             "-subj", "/CN=jobgate tests")
    _openssl(directory, "req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (directory / "server.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl(directory, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "server.crt", "-days", DAYS, "-extfile", "server.ext")
    (directory / "server.pem").write_text("".join(
        (directory / name).read_text() for name in ("server.key", "server.crt", "ca.pem")))
