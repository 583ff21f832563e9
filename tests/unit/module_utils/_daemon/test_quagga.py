# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quagga's text: written by its sources (bgp_vty.c, bgp_route.c) and by outputs that others published.

None was recorded here: no distribution that this collection runs on has Quagga.
"""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import quagga
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Bgp

UP = """\
BGP neighbor is 169.254.252.1, remote AS 64512, local AS 65000, external link
 Description: "aws1-1"
  BGP version 4, remote router ID 198.51.100.1
  BGP state = Established, up for 01w4d15h
  Last read 00:00:05, hold time is 30, keepalive interval is 10 seconds
  Neighbor capabilities:
    4 Byte AS: advertised and received
    Address family IPv4 Unicast: advertised and received
  Message statistics:
                         Sent       Rcvd
    Opens:                  4          4
    Total:              19024      18993
  Minimum time between advertisement runs is 30 seconds

 For address family: IPv4 Unicast
  Inbound soft reconfiguration allowed
  Community attribute sent to this neighbor(both)
  2 accepted prefixes

  Connections established 4; dropped 3
  Last reset 01w4d15h, due to BGP Notification received
Local host: 169.254.252.2, Local port: 179
Foreign host: 169.254.252.1, Foreign port: 55771
"""
ACTIVE = """\
BGP neighbor is 169.254.252.5, remote AS 64512, local AS 65000, external link
  BGP version 4, remote router ID 0.0.0.0
  BGP state = Active
  Last read 00:01:02, hold time is 30, keepalive interval is 10 seconds
  Message statistics:

 For address family: IPv4 Unicast
  0 accepted prefixes

  Connections established 0; dropped 0
  Last reset never
Next connect timer due in 6 seconds
"""
SHUT = """\
BGP neighbor is 169.254.252.9, remote AS 64512, local AS 65000, external link
  BGP version 4, remote router ID 0.0.0.0
 Administratively shut down
  BGP state = Idle
  Last read 00:01:02, hold time is 30, keepalive interval is 10 seconds
"""
TABLE = """\
BGP table version is 0, local router ID is 203.0.113.10
Status codes: s suppressed, d damped, h history, * valid, > best, = multipath,
              i internal, r RIB-failure, S Stale, R Removed
Origin codes: i - IGP, e - EGP, ? - incomplete

   Network          Next Hop            Metric LocPrf Weight Path
*> 0.0.0.0          169.254.252.1          100             0 64512 i
*> 10.20.0.0/16     169.254.252.1          100             0 64512 i
*= 172.31.0.0       169.254.252.1          100             0 64512 i
*> 192.168.77.0     169.254.252.1          100             0 64512 i
*                   169.254.252.5          100             0 64512 i
*> 192.168.100.128/25
                    169.254.252.1          100             0 64512 i
*> 10.0.0.0         169.254.252.1          100             0 64512 i

Total number of prefixes 6
"""


def test_sessions() -> None:
    assert quagga.sessions(UP + ACTIVE + SHUT) == {
        "169.254.252.1": Bgp("Established", 1004400, "BGP Notification received", 30, 10, accepted_count=2),
        "169.254.252.5": Bgp("Active", None, "", 30, 10, accepted_count=0),
        "169.254.252.9": Bgp("Idle", None, "Administratively shut down", 30, 10, accepted_count=0),
    }


def test_no_bgp_is_no_session() -> None:
    assert quagga.sessions("% BGP instance not found\n") == {}


@pytest.mark.parametrize(
    "text, seconds",
    [("00:12:03", 723), ("3d04h05m", 273900), ("01w4d15h", 1004400), ("never", None), ("", None), ("1d!", None)],
)
def test_uptime(text: str, seconds: int | None) -> None:
    assert quagga.uptime(text) == seconds


def test_prefixes() -> None:
    # A network of a class is printed without its length, and a long one has a line of its own.
    assert quagga.prefixes(TABLE) == (
        "0.0.0.0/0",
        "10.20.0.0/16",
        "172.31.0.0/16",
        "192.168.77.0/24",
        "192.168.100.128/25",
        "10.0.0.0/8",
    )


def test_an_empty_table_is_not_the_same_as_none() -> None:
    assert quagga.prefixes(TABLE.partition("*>")[0]) == ()
    assert quagga.prefixes("") == ()
    assert quagga.prefixes("% Inbound soft reconfiguration not enabled\n") is None
    assert quagga.prefixes("%% No such neighbor or address family\n") is None
