"""A libtorrent-rasterbar peer: lt_peer.py seed|leech TORRENT|MAGNET FOLDER ADDRESS:PORT [PEER:PORT [RATE]]

It meets peers through the trackers of the torrent or link, by PEER if that is given, and by peer exchange, and speaks plain TCP. RATE
is the most bytes a second that it sends and the most that it receives. A leecher ends when it is complete and has
told the tracker so; a seeder checks its data and seeds until it is ended.
"""

import sys

import libtorrent as lt

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


def alerts(until):
    """Prints what happens until an alert of this kind comes."""
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            print(alert.what(), alert.message(), flush=True)
            if until and isinstance(alert, until):
                return


alerts(lt.torrent_finished_alert)
if mode == "seed":
    alerts(None)
del session  # it writes what it has, and tells the tracker that it stopped
