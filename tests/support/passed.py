# SPDX-License-Identifier: Apache-2.0
"""What was resumed ahead of a committed offset, as it stands in that commit's metadata: read once more, in another
language than jobgate's."""

import base64
import struct
import zlib


def passed(metadata, topic, partition, offset):
    """The offsets; none without metadata."""
    if not metadata:
        return set()
    data = base64.b64decode(metadata + "=" * (-len(metadata) % 4), validate=True)
    version, checksum = struct.unpack(">BI", data[:5])
    assert version == 1
    assert checksum == zlib.crc32(f"{topic}/{partition}/{offset}/".encode() + data[5:])
    found, at, length, shift, waits = set(), offset, 0, 0, True
    for byte in data[5:]:
        length |= (byte & 127) << shift
        shift += 7
        if byte & 128:
            continue
        if not waits:
            found.update(range(at, at + length))
        at, length, shift, waits = at + length, 0, 0, not waits
    assert waits and not shift
    return found
