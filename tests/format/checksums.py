# SPDX-License-Identifier: BSD-3-Clause
"""CRC-32C and SipHash-2-4, as docs/format.md defines them; fast enough for some thousand blocks."""

import struct

MASK = 2**64 - 1


def byte_step(register):
    for _ in range(8):
        register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register


BYTES = [byte_step(register) for register in range(256)]


def pair_step(register):
    register = BYTES[register & 0xFF] ^ register >> 8
    return BYTES[register & 0xFF] ^ register >> 8


PAIRS = [pair_step(register) for register in range(65536)]


def crc32c(data):
    crc = 0xFFFFFFFF
    whole = len(data) & ~1
    for pair in struct.unpack(f"<{whole // 2}H", data[:whole]):
        crc = PAIRS[(crc ^ pair) & 0xFFFF] ^ crc >> 16
    for byte in data[whole:]:
        crc = BYTES[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def rotate(value, bits):
    return (value << bits | value >> 64 - bits) & MASK


def sip_rounds(state, count):
    v0, v1, v2, v3 = state
    for _ in range(count):
        v0 = v0 + v1 & MASK
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 = v2 + v3 & MASK
        v3 = rotate(v3, 16) ^ v2
        v0 = v0 + v3 & MASK
        v3 = rotate(v3, 21) ^ v0
        v2 = v2 + v1 & MASK
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
    return v0, v1, v2, v3


def siphash24(key, data):
    k0, k1 = struct.unpack("<QQ", key)
    state = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
             k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    whole = len(data) & ~7
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    for word in (*struct.unpack(f"<{whole // 8}Q", data[:whole]), last):
        v0, v1, v2, v3 = sip_rounds((state[0], state[1], state[2], state[3] ^ word), 2)
        state = v0 ^ word, v1, v2, v3
    v0, v1, v2, v3 = sip_rounds((state[0], state[1], state[2] ^ 0xFF, state[3]), 4)
    return v0 ^ v1 ^ v2 ^ v3
