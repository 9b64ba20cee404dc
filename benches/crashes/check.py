#!/usr/bin/env python3
"""Hashes what the journal of a download claims: check.py TORRENT DIR

It shares no code with shoal: it reads the torrent, the journal and the data by itself. Prints one line of JSON:
pieces, claimed, synced (of those), wrong (claimed and not right: there must be none), wrong_synced (of those: none
after a power cut either), unclaimed (right, and not claimed: they are fetched twice). Ends with 1 if any claim is
false.
"""
import hashlib
import json
import pathlib
import struct
import sys
import zlib

HEAD, FRAME = 48, 9


def bdecode(data, at=0):
    """The value at an offset, and the offset after it."""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in b"ld":
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


class Torrent:
    def __init__(self, path):
        self.info = bdecode(pathlib.Path(path).read_bytes())[0][b"info"]
        self.name = self.info[b"name"].decode()
        self.piece_length = self.info[b"piece length"]
        digests = self.info[b"pieces"]
        self.digests = [digests[at:at + 20] for at in range(0, len(digests), 20)]
        if b"files" in self.info:
            self.files = [(pathlib.Path(self.name, *(p.decode() for p in f[b"path"])), f[b"length"])
                          for f in self.info[b"files"]]
        else:
            self.files = [(pathlib.Path(self.name), self.info[b"length"])]

    def right(self, folder):
        """Which pieces are right, by hashing all that is there."""
        content = bytearray()
        for path, length in self.files:
            try:
                data = (folder / path).read_bytes()[:length]
            except FileNotFoundError:
                data = b""
            content += data + bytes(length - len(data))
        cut = (content[at:at + self.piece_length] for at in range(0, len(content), self.piece_length))
        return [hashlib.sha1(piece).digest() == due for piece, due in zip(cut, self.digests)]


def claims(path, torrent):
    """Which pieces are claimed, and which of them as synced."""
    data = path.read_bytes() if path.exists() else b""
    state = [None] * len(torrent.digests)
    if len(data) < HEAD or data[:8] != b"shoaljnl":
        return state
    assert zlib.crc32(data[:HEAD - 4]) == struct.unpack_from("<I", data, HEAD - 4)[0], "the head is damaged"
    at = HEAD
    while at + FRAME <= len(data):
        length, inverted, crc, kind = struct.unpack_from("<HHIB", data, at)
        assert length ^ inverted == 0xffff or not any(data[at + FRAME:]), "a length is damaged"
        body = data[at + FRAME:at + FRAME + length]
        if len(body) < length or zlib.crc32(data[at:at + 4] + bytes([kind]) + body) != crc:
            break
        for first, count in struct.iter_unpack("<II", body) if kind in (3, 4, 5, 6) else ():
            for piece in range(first, first + count):
                if kind == 4:
                    state[piece] = "synced" if state[piece] else None
                else:
                    state[piece] = "written" if kind == 3 else None
        at += FRAME + length
    return state


def main():
    torrent, folder = Torrent(sys.argv[1]), pathlib.Path(sys.argv[2])
    journals = [p for p in folder.glob(f".{torrent.name}.*.journal")]
    state = claims(journals[0], torrent) if journals else [None] * len(torrent.digests)
    right = torrent.right(folder)
    wrong = [n for n, (claim, good) in enumerate(zip(state, right)) if claim and not good]
    print(json.dumps({
        "pieces": len(state),
        "claimed": sum(claim is not None for claim in state),
        "synced": sum(claim == "synced" for claim in state),
        "wrong": wrong,
        "wrong_synced": [n for n in wrong if state[n] == "synced"],
        "unclaimed": sum(good and not claim for claim, good in zip(state, right)),
    }))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
