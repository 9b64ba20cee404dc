"""Makes and shows torrents with libtorrent-rasterbar.

lt_torrent.py create plain|padded PATH TORRENT PIECE_LENGTH COMMENT TRACKER...   each tracker is a tier of its own
lt_torrent.py show TORRENT                                                     prints one JSON object
"""

import json
import os
import sys

import libtorrent as lt


def create(layout, path, out, piece_length, comment, *trackers):
    files = lt.file_storage()
    lt.add_files(files, path)
    flags = lt.create_torrent.v1_only
    if layout == "padded":
        flags |= lt.create_torrent.canonical_files
    torrent = lt.create_torrent(files, int(piece_length), flags)
    for tier, url in enumerate(trackers):
        torrent.add_tracker(url, tier)
    torrent.set_comment(comment)
    torrent.set_creator("libtorrent")
    lt.set_piece_hashes(torrent, os.path.dirname(path))
    with open(out, "wb") as file:
        file.write(lt.bencode(torrent.generate()))


def show(path):
    info = lt.torrent_info(path)
    files = info.files()
    tiers = {}
    for tracker in info.trackers():
        tiers.setdefault(tracker.tier, []).append(tracker.url)
    print(json.dumps({
        "info_hash": str(info.info_hashes().v1),
        "name": info.name(),
        "piece_length": info.piece_length(),
        "piece_count": info.num_pieces(),
        "private": info.priv(),
        "comment": info.comment(),
        "files": [[files.file_path(i), files.file_size(i)] for i in range(files.num_files())],
        "trackers": [tiers[tier] for tier in sorted(tiers)],
    }))


{"create": create, "show": show}[sys.argv[1]](*sys.argv[2:])
