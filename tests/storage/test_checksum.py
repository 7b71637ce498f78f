from __future__ import annotations

from kmodel_tools.storage.checksum import MASK_DELTA, crc32c, mask


def test_the_standard_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4
    assert crc32c(bytearray(b"56789"), crc32c(memoryview(b"1234"))) == 0xE3069283


def test_masking_as_leveldb_does_it() -> None:
    for value in (0, 1, 0xE3069283, 0xFFFFFFFF):
        rotated = (mask(value) - MASK_DELTA) & 0xFFFFFFFF  # LevelDB `util/crc32c.h`, `Unmask`
        assert ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF == value
        assert mask(value) != value
