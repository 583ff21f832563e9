# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of distributions in a guest's namespace: udhcpc, dhclient, rdisc6 and the kernel. Read by the programs.

None of them may write this machine's own files, so their scripts only write down what they were told.
"""

from __future__ import annotations

import ipaddress
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import place as lab

# In both: the script is called with words of its own for events before there is an address.
_SCRIPT = """\
#!/bin/sh
case ${1:-$reason} in
  bound | renew | BOUND* | RENEW* | REBIND* | REBOOT*) env >"$TOLD" ;;
esac
exit 0
"""
# As Debian's own /etc/dhcp/dhclient.conf has it.
_DHCLIENT = """\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, domain-search, host-name,
  dhcp6.name-servers, dhcp6.domain-search, interface-mtu, rfc3442-classless-static-routes;
timeout 15;
initial-interval 1;
retry 1;
"""


@dataclass
class Told:
    """What a client was told. address: with its length. routes: (prefix, gateway), with the default route."""

    address: str = ""
    routes: list[tuple[str, str]] = field(default_factory=list)
    dns: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    domain: str = ""
    host_name: str = ""
    mtu: int | None = None
    server: str = ""


def udhcpc(place: lab.Place, where: str, folder: Path, tries: int = 6) -> Told | None:
    """DHCPv4 by busybox; None where nobody has answered. where: namespace without the lab's name."""
    script, told = _files(folder, f"{where}.udhcpc")
    words = ["udhcpc", "-i", lab.CARD, "-f", "-n", "-q", "-t", str(tries), "-T", "1", "-s", str(script)]
    words += [word for name in ("mtu", "search", "staticroutes", "hostname") for word in ("-O", name)]
    place.inside(where, "env", f"TOLD={told}", *words)
    found = _environment(told)
    if not found:
        return None
    listed = found.get("staticroutes", "").split()
    routes = list(zip(listed[::2], listed[1::2]))
    return Told(
        f"{found['ip']}/{found['mask']}",
        routes or [("0.0.0.0/0", hop) for hop in found.get("router", "").split()],
        found.get("dns", "").split(),
        found.get("search", "").split(),
        found.get("domain", ""),
        found.get("hostname", ""),
        int(found["mtu"]) if "mtu" in found else None,
        found.get("serverid", ""),
    )


def dhclient(place: lab.Place, where: str, folder: Path) -> Told | None:
    """DHCPv4 by ISC. Where the folder has a lease of an earlier run, it is asked for again."""
    found = _isc(place, where, folder, 4)
    if not found:
        return None
    mask = ipaddress.ip_interface(f"{found['new_ip_address']}/{found['new_subnet_mask']}")
    octets = [int(word) for word in found.get("new_rfc3442_classless_static_routes", "").split()]
    routes = []
    while octets:
        length = octets.pop(0)
        used = (length + 7) // 8
        prefix = octets[:used] + [0] * (4 - used)
        routes.append((f"{'.'.join(map(str, prefix))}/{length}", ".".join(map(str, octets[used : used + 4]))))
        octets = octets[used + 4 :]
    return Told(
        str(mask),
        routes or [("0.0.0.0/0", hop) for hop in found.get("new_routers", "").split()],
        found.get("new_domain_name_servers", "").split(),
        _domains(found.get("new_domain_search", "")),
        found.get("new_domain_name", ""),
        found.get("new_host_name", ""),
        int(found["new_interface_mtu"]) if "new_interface_mtu" in found else None,
        found.get("new_dhcp_server_identifier", ""),
    )


def dhclient6(place: lab.Place, where: str, folder: Path, seconds: int = 30) -> Told | None:
    """DHCPv6 by ISC, as dhclient(); the length of its address means nothing, so it is /128. seconds: of patience."""
    found = _isc(place, where, folder, 6, seconds)
    if not found:
        return None
    return Told(
        f"{found['new_ip6_address']}/128",
        dns=found.get("new_dhcp6_name_servers", "").split(),
        search=_domains(found.get("new_dhcp6_domain_search", "")),
    )


def _isc(place: lab.Place, where: str, folder: Path, family: int, seconds: int = 30) -> dict[str, str]:
    name = f"{where}.dhclient{family}"
    script, told = _files(folder, name)
    settings = folder / f"{name}.conf"
    settings.write_text(_DHCLIENT, encoding="utf-8")
    pid = folder / f"{name}.pid"
    leases = folder / f"{name}.leases"
    words = ["dhclient", f"-{family}", "-1", "-d", "-q", "-cf", str(settings), "-lf", str(leases), "-pf", str(pid)]
    process = place.start(where, *words, "-e", f"TOLD={told}", "-sf", str(script), lab.CARD)
    end = time.monotonic() + seconds
    while process.poll() is None and not _environment(told) and time.monotonic() < end:
        time.sleep(0.1)
    if process.poll() is None:
        process.terminate()
    process.wait()
    return _environment(told)


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    script, told = folder / f"{name}.sh", folder / f"{name}.told"
    script.write_text(_SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    told.unlink(missing_ok=True)
    return script, told


def _environment(told: Path) -> dict[str, str]:
    try:
        lines = told.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line) if lines else {}


def _domains(text: str) -> list[str]:
    return [word.rstrip(".") for word in text.replace('"', "").split()]


@dataclass
class Advertised:
    """A router advertisement. prefixes: (prefix, on link, autonomous)."""

    managed: bool
    other: bool
    lifetime: int
    mtu: int | None
    prefixes: list[tuple[str, bool, bool]]
    dns: list[str]
    search: list[str]
    router: str


def rdisc6(place: lab.Place, where: str, seconds: int = 3) -> list[Advertised]:
    """All that routers answer to a solicitation within some seconds."""
    words = ["rdisc6", "-n", "-m", "-r", str(seconds), "-w", "1000", lab.CARD]
    text = place.inside(where, *words).stdout
    return list(
        {repr(item): item for item in map(_advertised, re.split(r"\n from ", text)[:-1], _routers(text))}.values()
    )


def _routers(text: str) -> list[str]:
    return re.findall(r"^ from (\S+)", text, re.MULTILINE)


def _advertised(text: str, router: str) -> Advertised:
    def yes(pattern: str, part: str = text) -> bool:
        return bool(re.search(rf"{pattern}\s*:\s*Yes", part))

    mtu = re.search(r"^ MTU\s*:\s*(\d+)", text, re.MULTILINE)
    lifetime = re.search(r"^Router lifetime\s*:\s*(\d+)", text, re.MULTILINE)
    parts = re.split(r"^ Prefix\s*: ", text, flags=re.MULTILINE)[1:]
    return Advertised(
        yes(r"Stateful address conf\."),
        yes(r"Stateful other conf\."),
        int(lifetime.group(1)) if lifetime else 0,
        int(mtu.group(1)) if mtu else None,
        [(part.split()[0], yes("On-link", part), yes(r"Autonomous address conf\.", part)) for part in parts],
        [word for line in re.findall(r"^ Recursive DNS server\s*: (.*)", text, re.MULTILINE) for word in line.split()],
        [
            word.rstrip(".")
            for line in re.findall(r"^ DNS search list\s*: (.*)", text, re.MULTILINE)
            for word in line.split()
        ],
        router,
    )
