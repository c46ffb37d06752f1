"""Starts a member of an etcd cluster, with etcd's flags as arguments.

A member that lost its data may not rejoin under its old ID: etcd refuses it ("has already been bootstrapped"), since it
no longer knows how it voted. So this follows the operators' procedure (etcd documentation, "Runtime reconfiguration",
section "Replace a failed machine"): remove the lost member from the cluster, and add a new one at its address.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STARTED = Path("/opt/splitbrain/started")  # outlives the data, which a fault may delete
ANSWER_SECONDS = 2.0
AGAIN_SECONDS = 0.1


def main(flags: Sequence[str]) -> None:
    """Replace this process by etcd; never returns."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--initial-advertise-peer-urls", required=True)
    parser.add_argument("--initial-cluster", required=True)
    known, _ = parser.parse_known_args(flags)
    state = "new"
    if STARTED.exists() and not (Path(known.data_dir) / "member").exists():
        own = known.initial_advertise_peer_urls
        replace(own, [url for url in peer_urls(known.initial_cluster) if url != own])
        state = "existing"
    STARTED.touch()
    os.execvp("etcd", ["etcd", *flags, "--initial-cluster-state", state])


def peer_urls(initial_cluster: str) -> list[str]:
    """The URLs in ``n1=http://10.0.0.11:2380,n2=...``."""
    return [entry.partition("=")[2] for entry in initial_cluster.split(",")]


def replace(own: str, others: Sequence[str]) -> None:
    """Remove the member at the peer URL ``own`` from the cluster and add a new one there, retrying until done."""
    removed = False
    while True:
        for other in others:
            client = f"{other.removeprefix('http://').partition(':')[0]}:2379"
            try:
                if not removed:
                    members = call(client, "list", {})["members"]
                    for member in members:
                        if own in member["peerURLs"]:
                            call(client, "remove", {"ID": member["ID"]})
                    removed = True
                call(client, "add", {"peerURLs": [own]})
                return
            except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
                print(f"member.py: {client}: {failure}", file=sys.stderr)
        time.sleep(AGAIN_SECONDS)


def call(client: str, action: str, body: Any) -> Any:
    """Call the membership API of the member at ``client``. Raises OSError if it refuses."""
    connection = http.client.HTTPConnection(client, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", f"/v3/cluster/member/{action}", json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise OSError(f"{action}: {content.decode(errors='replace').strip()}")
        return json.loads(content)
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
