"""The agent's reading of the kernel's counters."""

from __future__ import annotations

import pytest

from splitbrain.runtimes.docker.agent.messages import ChecksumErrors
from splitbrain.runtimes.docker.agent.probes import SNMP, checksum_errors

TABLE = """\
Ip: Forwarding DefaultTTL InReceives
Ip: 1 64 7
Tcp: RtoAlgorithm MaxConn InSegs InCsumErrors
Tcp: 1 -1 99 3
Udp: InDatagrams NoPorts InCsumErrors IgnoredMulti
Udp: 51 0 12 0
UdpLite: InDatagrams NoPorts InCsumErrors IgnoredMulti
UdpLite: 0 0 88 0
"""


def test_wrong_checksums_are_read_by_the_name_of_their_column() -> None:
    assert checksum_errors(TABLE) == ChecksumErrors(udp=12, tcp=3)
    assert checksum_errors(SNMP.read_text()).udp >= 0


def test_a_table_without_them_is_no_count_of_zero() -> None:
    with pytest.raises(KeyError):
        checksum_errors(TABLE.replace("InCsumErrors", "Others"))
