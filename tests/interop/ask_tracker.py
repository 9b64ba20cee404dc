"""Asks a tracker as the BEPs have it, and takes nothing but a perfect answer.

ask_tracker.py announce URL INFO_HASH LEFT EVENT PORT   asks for peers; EVENT is started, completed, stopped or empty
ask_tracker.py scrape URL INFO_HASH                     asks for numbers (BEP 48, BEP 15)

Prints one JSON object. A refusal is {"failure": ...}; an answer that breaks a rule ends it with a traceback. It has
nothing but Python's own library, and no code in common with what it asks. It asks the first address of a name.
"""

import json
import os
import socket
import struct
import sys
from urllib.parse import quote, urlsplit

TIMEOUT = 10  # seconds
PEER_ID = b"-XX0001-" + b"asks4peers!!"
MAGIC = 0x41727101980
CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)
EVENTS = {"": 0, "completed": 1, "started": 2, "stopped": 3}
FAMILIES = {"peers": (socket.AF_INET, 4), "peers6": (socket.AF_INET6, 16)}


def decode(text):
    """The value that is the whole of a bencoded text: canonical integers and lengths, keys sorted and each once."""
    value, end = value_at(text, 0)
    assert end == len(text), f"{len(text) - end} bytes after the value"
    return value


def number(digits, signed):
    body = digits[1:] if signed and digits[:1] == b"-" else digits
    assert body.isdigit() and (body == b"0" or body[:1] != b"0") and digits != b"-0", f"a number: {digits!r}"
    return int(digits)


def value_at(text, at):
    kind = text[at:at + 1]
    if kind == b"i":
        end = text.index(b"e", at)
        return number(text[at + 1:end], True), end + 1
    if kind == b"l":
        values, at = [], at + 1
        while text[at:at + 1] != b"e":
            value, at = value_at(text, at)
            values.append(value)
        return values, at + 1
    if kind == b"d":
        values, at, last = {}, at + 1, None
        while text[at:at + 1] != b"e":
            key, at = value_at(text, at)
            assert isinstance(key, bytes), f"a key: {key!r}"
            assert last is None or last < key, f"{key!r} comes after {last!r}"
            # Info-hashes are keys as well (BEP 48), and this encoding takes any bytes.
            values[key.decode("latin-1")], at = value_at(text, at)
            last = key
        return values, at + 1
    colon = text.index(b":", at)
    end = colon + 1 + number(text[at:colon], False)
    assert end <= len(text), "a string longer than the text"
    return text[colon + 1:end], end


def resolve(host, port, kind):
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    return family, address


def get(url, query):
    """The body of one GET on a connection of its own."""
    family, address = resolve(url.hostname, url.port, socket.SOCK_STREAM)
    with socket.socket(family, socket.SOCK_STREAM) as stream:
        stream.settimeout(TIMEOUT)
        stream.connect(address)
        head = f"GET {url.path}?{query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
        stream.sendall(head.encode())
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    status, *fields = head.decode("ascii").split("\r\n")
    fields = dict((name.lower(), value.strip()) for name, value in (field.split(":", 1) for field in fields))
    assert status.startswith("HTTP/1.1 200 "), status
    assert int(fields["content-length"]) == len(body), f"{fields} for {len(body)} bytes"
    return decode(body)


def compact(family, length, peers):
    assert len(peers) % (length + 2) == 0, f"{len(peers)} bytes of peers"
    return [
        shown(socket.inet_ntop(family, peers[at:at + length]), *struct.unpack(">H", peers[at + length:at + length + 2]))
        for at in range(0, len(peers), length + 2)
    ]


def shown(ip, port):
    assert 0 < port < 65536, f"port {port}"
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def natural(value):
    assert isinstance(value, int) and value >= 0, f"{value!r} is a number of something"
    return value


def peers_of(reply):
    return [peer for key, form in FAMILIES.items() for peer in compact(*form, reply.get(key, b""))]


def announce_http(url, info_hash, left, event, port):
    query = f"info_hash={quote(info_hash, safe='')}&peer_id={quote(PEER_ID, safe='')}&port={port}"
    query += f"&uploaded=0&downloaded=0&left={left}" + (f"&event={event}" if event else "")
    reply = get(url, f"{query}&compact=1")
    if "failure reason" in reply:
        assert set(reply) <= {"failure reason", "retry in"}, reply
        return {"failure": reply["failure reason"].decode()}
    assert "peers" in reply, "old clients need the key even if there are none"
    peers = peers_of(reply)
    # Whoever comes or goes in between is in one of the two only.
    for _ in range(10 if event != "stopped" else 0):
        # The form with a dictionary a peer (BEP 3) tells the same.
        listed = get(url, f"{query}&compact=0")["peers"]
        before, reply = peers, get(url, f"{query}&compact=1")
        peers = peers_of(reply)
        if sorted(before) == sorted(peers):
            assert sorted(shown(peer["ip"].decode(), peer["port"]) for peer in listed) == sorted(peers), listed
            break
    else:
        assert event == "stopped", "peers come and go all the time"
    return {
        "interval": natural(reply["interval"]),
        "complete": natural(reply["complete"]),
        "incomplete": natural(reply["incomplete"]),
        "peers": peers,
    }


def scrape_http(url, info_hash):
    folder, last = url.path.rsplit("/", 1)
    assert last.startswith("announce"), "BEP 48 has no scrape URL for it"
    url = url._replace(path=f"{folder}/{last.replace('announce', 'scrape', 1)}")
    reply = get(url, f"info_hash={quote(info_hash, safe='')}")
    if "failure reason" in reply:
        return {"failure": reply["failure reason"].decode()}
    assert set(reply) <= {"files", "flags"}, reply
    files = reply["files"]
    key = info_hash.decode("latin-1")
    assert set(files) <= {key}, files
    numbers = files.get(key, {"complete": 0, "incomplete": 0, "downloaded": 0})
    return {key: natural(numbers[key]) for key in ("complete", "incomplete", "downloaded")}


class Udp:
    """One tracker, connected to."""

    def __init__(self, url):
        self.family, self.address = resolve(url.hostname, url.port, socket.SOCK_DGRAM)
        self.socket = socket.socket(self.family, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(self.address)
        action, body = self.ask(struct.pack(">Q", MAGIC), CONNECT, b"")
        assert action == CONNECT and len(body) == 8, (action, body)
        self.connection = body

    def ask(self, connection, action, body):
        transaction = os.urandom(4)
        self.socket.send(connection + struct.pack(">I", action) + transaction + body)
        answer = self.socket.recv(65536)
        assert len(answer) >= 8 and answer[4:8] == transaction, answer
        return struct.unpack(">I", answer[:4])[0], answer[8:]


def announce_udp(url, info_hash, left, event, port):
    tracker = Udp(url)
    numbers = struct.pack(">QQQIIIiH", 0, left, 0, EVENTS[event], 0, 0x5A5A5A5A, -1, port)
    path = url.path.encode()
    options = bytes([2, len(path)]) + path + b"\0" if path else b""  # BEP 41
    action, body = tracker.ask(tracker.connection, ANNOUNCE, info_hash + PEER_ID + numbers + options)
    if action == ERROR:
        return {"failure": body.decode()}
    assert action == ANNOUNCE and len(body) >= 12, (action, body)
    interval, incomplete, complete = struct.unpack(">III", body[:12])
    length = {socket.AF_INET: 4, socket.AF_INET6: 16}[tracker.family]
    peers = compact(tracker.family, length, body[12:])
    return {"interval": interval, "complete": complete, "incomplete": incomplete, "peers": peers}


def scrape_udp(url, info_hash):
    tracker = Udp(url)
    action, body = tracker.ask(tracker.connection, SCRAPE, info_hash)
    if action == ERROR:
        return {"failure": body.decode()}
    assert action == SCRAPE and len(body) == 12, (action, body)
    complete, downloaded, incomplete = struct.unpack(">III", body)
    return {"complete": complete, "incomplete": incomplete, "downloaded": downloaded}


def main(command, url, info_hash, left=0, event="", port=0):
    url, info_hash = urlsplit(url), bytes.fromhex(info_hash)
    ask = {
        ("announce", "http"): announce_http,
        ("announce", "udp"): announce_udp,
        ("scrape", "http"): scrape_http,
        ("scrape", "udp"): scrape_udp,
    }[command, url.scheme]
    rest = [int(left), event, int(port)] if command == "announce" else []
    print(json.dumps(ask(url, info_hash, *rest)))


main(*sys.argv[1:])
