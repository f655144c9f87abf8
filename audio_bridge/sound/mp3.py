"""MP3 files, encoded by LAME (the `lameenc` package) at variable bit rate, about 130 kbit/s for stereo music.

LAME's stream gets a first frame with the Xing/LAME tag, which it does not write itself: number of frames and bytes and
a table to seek by, so that players show the right length, and the encoder's delay and padding, so that they play the
samples that were encoded and no others (time zero stays time zero).

Frame header: ISO 11172-3, section 2.4.1.3; tag: 'Mp3 Info Tag revision 1' (gabriel.mp3-tech.org/mp3infotag.html).
"""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from symbolic.errors import UserError

MPEG_1, MPEG_2, MPEG_2_5 = 3, 2, 0  # version bits of a frame header
SAMPLE_RATES = {
    MPEG_1: (44_100, 48_000, 32_000),
    MPEG_2: (22_050, 24_000, 16_000),
    MPEG_2_5: (11_025, 12_000, 8_000),
}
BITRATES = {  # kbit/s of layer III, by the header's index from 1
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
QUALITY = 4  # LAME's -V4: transparent to most listeners
ENCODER_DELAY = 576  # samples before the first one encoded; decoders add 529 of their own
_TAG = struct.Struct(">4sIII100sI9sBBIHHBB3sBBHIH")
_ENCODER = b"LAME3.100"
_VBR_METHOD = 4  # of the tag: mtrh


def encode(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return an MP3 file of (channels, samples), one or two channels at a rate (hertz) of SAMPLE_RATES.

    Raises UserError without the encoder.
    """
    try:
        import lameenc
    except ImportError as error:
        raise UserError("writing MP3 needs lameenc: pip install lameenc. Or write .wav or .flac.") from error
    channels, n_samples = samples.shape
    encoder = lameenc.Encoder()
    encoder.set_in_sample_rate(sample_rate)
    encoder.set_out_sample_rate(sample_rate)
    encoder.set_channels(channels)
    encoder.set_vbr(lameenc.VBR_MTRH)
    encoder.set_vbr_quality(QUALITY)
    encoder.set_quality(5)
    encoder.silence()
    numbers = np.clip(np.rint(samples.T * 32767), -32768, 32767).astype("<i2")
    stream = bytes(encoder.encode(numbers.tobytes())) + bytes(encoder.flush())
    return _tag_frame(stream, n_samples) + stream


def frame_lengths(stream: bytes) -> Iterator[int]:
    """Yield the length in bytes of each frame of a layer III stream that begins with one."""
    place = 0
    while place + 4 <= len(stream):
        length = _frame_length(stream[place : place + 4])
        yield length
        place += length


def _frame_length(header: bytes) -> int:
    version, (bitrate, rate), padding = header[1] >> 3 & 3, (header[2] >> 4, header[2] >> 2 & 3), header[2] >> 1 & 1
    is_first = version == MPEG_1
    return (144_000 if is_first else 72_000) * BITRATES[is_first][bitrate - 1] // SAMPLE_RATES[version][rate] + padding


def _tag_frame(stream: bytes, n_samples: int) -> bytes:
    """A frame without sound that holds the tag, of the lowest bit rate that has room for it."""
    header = bytearray(stream[:4])
    version, is_mono = header[1] >> 3 & 3, header[3] >> 6 == 3
    side_bytes = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[version == MPEG_1, is_mono]
    for bitrate in range(1, 15):
        header[2] = bitrate << 4 | header[2] & 0b1100  # the stream's rate, no padding
        n_bytes = _frame_length(bytes(header))
        if n_bytes >= 4 + side_bytes + _TAG.size + 2:
            break
    lengths = list(frame_lengths(stream))
    total = n_bytes + len(stream)
    padding = len(lengths) * (1152 if version == MPEG_1 else 576) - ENCODER_DELAY - n_samples
    delays = (ENCODER_DELAY << 12 | min(4095, max(0, padding))).to_bytes(3, "big")
    fields = (b"Xing", 0b1111, len(lengths), total, _seek_table(lengths, n_bytes, total), 100 - 10 * QUALITY,
              _ENCODER, _VBR_METHOD, 0, 0, 0, 0, 0, 0, delays, 0, 0, 0, total, 0)  # fmt: skip
    body = bytes(header) + bytes(side_bytes) + _TAG.pack(*fields)
    return body + _crc16(body).to_bytes(2, "big") + bytes(n_bytes - len(body) - 2)


def _seek_table(lengths: list[int], n_before: int, total: int) -> bytes:
    """Where each hundredth of the playing time begins, in 256ths of the file."""
    starts = n_before + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    places = starts[np.arange(100) * len(lengths) // 100]
    return bytes(np.minimum(255, places * 256 // total).astype(np.uint8))


def _crc16(data: bytes) -> int:
    """CRC-16 with the polynomial x^16 + x^15 + x^2 + 1, lowest bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
