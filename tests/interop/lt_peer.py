"""A libtorrent-rasterbar peer: lt_peer.py seed|leech TORRENT|MAGNET FOLDER ADDRESS:PORT[,ADDRESS:PORT] [PEER:PORT [RATE]]

It meets peers through the trackers of the torrent or link, by PEER if that is given, and by peer exchange, and speaks plain TCP. RATE
is the most bytes a second that it sends and the most that it receives. A leecher ends when it is complete and has
told the tracker so; a seeder checks its data, asks its trackers for numbers, and seeds until it gets SIGINT. Both tell
their trackers that they leave.
"""

import signal
import sys
import time

import libtorrent as lt

LEAVE_TIME = 5  # seconds

mode, torrent, folder, listen, *more = sys.argv[1:]
peer, rate = (more + [None, 0][len(more):])
session = lt.session({
    "listen_interfaces": listen,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "in_enc_policy": 2,  # pe_disabled
    "out_enc_policy": 2,
    "alert_mask": lt.alert.category_t.error_notification
    | lt.alert.category_t.status_notification
    | lt.alert.category_t.tracker_notification,
})
if torrent.startswith("magnet:"):
    params = lt.parse_magnet_uri(torrent)
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
params.save_path = folder
handle = session.add_torrent(params)
# Limits of the torrent, since those of the session do not hold for peers of the same site.
handle.set_upload_limit(int(rate))
handle.set_download_limit(int(rate))
if peer:
    host, port = peer.rsplit(":", 1)
    handle.connect_peer((host, int(port)))

is_interrupted = False
under_way = 0  # announces, one for each of our addresses
said = set()


def interrupt(*_):
    global is_interrupted
    is_interrupted = True


def follow():
    """Prints what happens for a moment; answers the kinds of alerts."""
    global under_way
    session.wait_for_alert(100)
    kinds = set()
    for alert in session.pop_alerts():
        print(alert.what(), alert.message(), flush=True)
        kinds.add(type(alert))
        if isinstance(alert, lt.tracker_announce_alert):
            under_way += 1
            said.add(alert.event)
        elif isinstance(alert, (lt.tracker_reply_alert, lt.tracker_error_alert)):
            under_way -= 1
            if isinstance(alert, lt.tracker_reply_alert) and mode == "seed" and under_way == 0 and not is_interrupted:
                handle.scrape_tracker()
    return kinds


def until_told(event):
    """Waits until the trackers have been told this, if there are any."""
    deadline = time.monotonic() + LEAVE_TIME
    while handle.trackers() and time.monotonic() < deadline and (event not in said or under_way > 0):
        follow()


signal.signal(signal.SIGINT, interrupt)
while lt.torrent_finished_alert not in follow() and not is_interrupted:
    pass
if mode == "leech":
    until_told(lt.event_t.completed)
while mode == "seed" and not is_interrupted:
    follow()
# Over UDP a session that just ends says nothing.
handle.unset_flags(lt.torrent_flags.auto_managed)
handle.pause()
until_told(lt.event_t.stopped)
del session  # it writes what it has
