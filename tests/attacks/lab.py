# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running lab as the namespaces of a world. What the suite changes there, it puts back.

What leaves by the uplink is seen at the other end of the hypervisor's cable, and what comes from outside is sent there;
who answers there is the lab's internet.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from ansible_collections.plainlinux.vpc.tests.attacks.inventory import Cast
from ansible_collections.plainlinux.vpc.tests.attacks.namespaces import Namespaces
from ansible_collections.plainlinux.vpc.tests.attacks.policy import link_local
from ansible_collections.plainlinux.vpc.tests.attacks.world import ABSENT, FLAT, ISOLATED, Scene, Station, World, free

# Xen's: never the lowest of a bridge, which would become the bridge's own.
_PORT_MAC = "fe:ff:ff:ff:ff:ff"
# Where the hypervisor routes, frames from outside come from a router that need not be there.
_ROUTER_MAC = "02:00:00:00:0e:01"


class Lab(Namespaces):
    """The namespaces of one lab for one cast. Close it, or use it in a `with`: then the lab is as it was."""

    def __init__(self, lab: str, cast: Cast) -> None:
        self.lab = lab
        self.cast = cast
        self._undo = ExitStack()
        self._former: set[tuple[str, str]] = set()
        host, outside = f"{lab}-{cast.hypervisor}", f"{lab}-internet"
        self._namespaces = {"host": host, "ext": outside, "d": f"atk{os.getpid()}-d"}
        self._namespaces.update({letter: f"{lab}-vm-{name}" for letter, name in cast.names.items()})
        bridge = cast.network["bridge"]
        self._devices: dict[str, str] = {**cast.devices, "d": "eth0", "host": bridge}
        uplink = next(iter(cast.network.get("uplinks") or ()), None) or _default_device(host)
        self._cable = _other_end(host, uplink)
        self._namespaces["switch"] = self._cable[0]
        super().__init__(World(cast.kind, _bridge_nf(host, bridge), self._scene(host, outside, bridge, uplink)))
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Put back all that was changed, and remove the stranger."""
        self._undo.close()

    def namespace(self, name: str) -> str:
        return self._namespaces[name]

    def device(self, name: str) -> str:
        return self._devices[name]

    def place(self, name: str) -> tuple[str, str]:
        return self._cable if name == "ext" else super().place(name)

    def change(self, inside: str, settings: Mapping[str, int]) -> None:
        """Set sysctls; they have their former values again when the lab is closed."""
        for key in settings:
            if (inside, key) not in self._former:
                self._former.add((inside, key))
                value = self.run("sysctl", "-n", key, inside=inside).strip()
                self._later(self.run, "sysctl", "-qw", f"{key}={value}", inside=inside)
        super().change(inside, settings)

    def _later(self, action: Callable[..., object], *words: str, **more: Any) -> None:
        """Do something when the lab is closed; the rest is done whether this fails or not."""

        def attempt() -> None:
            with contextlib.suppress(AssertionError):
                action(*words, **more)

        self._undo.callback(attempt)

    def _scene(self, host: str, outside: str, bridge: str, uplink: str) -> Scene:
        cast, network = self.cast, self.cast.network
        own = _link(host, bridge)
        flat = cast.kind == FLAT
        mine = _station(host, bridge)
        taken = cast.others | {address for vif in (*cast.vifs, cast.stranger) for address in vif.addresses4}
        taken |= {address for vif in (*cast.vifs, cast.stranger) for address in vif.addresses6}
        spare4, spare6 = (free(network.get(key) or "", set(taken), 1)[0] for key in ("cidr", "cidr6"))
        # On a flat bridge, only an address of the network reaches guests' other addresses.
        ip6 = spare6 if flat and mine.ip6 == mine.ll else mine.ip6
        mine = replace(mine, ip4=mine.ip4 or spare4 or ABSENT.ip4, ip6=ip6 or spare6 or ABSENT.ip6)
        gateway4, gateway6 = network.get("gateway") or ABSENT.ip4, network.get("gateway6") or ""
        if flat:
            device = _device_with(outside, gateway4)
            gw = Station(_link(outside, device)["address"], gateway4, gateway6, _station(outside, device).ll)
        else:
            gw = Station(own["address"], gateway4, "", mine.ll)
        return Scene(
            bridge=bridge,
            uplinks=tuple(network.get("uplinks") or ()),
            guests=cast.vifs,
            stranger=cast.stranger,
            host=mine,
            gw=gw,
            ext_mac=gw.mac if flat else _ROUTER_MAC,
            wan_mac=_link(host, uplink)["address"],
            network4=network.get("cidr") or "",
            network6=network.get("cidr6") or "",
            remote4=ABSENT.ip4 if flat or not cast.remote4 else cast.remote4,
            others=frozenset(taken | {mine.ip4, mine.ip6}),
            answers=flat or bool(network.get("nat")),
            inwards=flat,
            mtu=own["mtu"],
        )

    def _prepare(self) -> None:
        world = self.world
        bridge = world.bridge
        self._plug_stranger()
        before = _link(self.namespace("host"), bridge)["linkinfo"]["info_data"]["mcast_snooping"]
        snooping = ("ip", "link", "set", bridge, "type", "bridge", "mcast_snooping")
        self._later(self.run, *snooping, str(before))
        # A querier among the attacks would be believed, and the bridge pass multicast on to nobody.
        self.run(*snooping, "0")
        self.change("host", {f"net/ipv4/neigh/{bridge}/locktime": 0, f"net/ipv6/conf/{bridge}/accept_ra": 0})
        for vif in world.scene.guests:
            device = self.device(vif.guest)
            settings = {f"net/ipv4/neigh/{device}/locktime": 0}
            if vif.addresses6:
                settings.update({f"net/ipv6/conf/{device}/{key}": 0 for key in ("accept_dad", "accept_ra")})
            self.change(vif.guest, settings)
        # What listens beyond the uplink must not become what the attackers advertise.
        for name in ("ext", "switch"):
            links = _ip(self.namespace(name), "link", "show", "up")
            self.change(name, {f"net/ipv6/conf/{link['ifname']}/accept_ra": 0 for link in links})
        self._add_addresses()
        for name in (*world.vifs, "host"):
            self._later(self.run, "ip", "neigh", "flush", "all", inside=name)

    def _plug_stranger(self) -> None:
        world = self.world
        vif, name = world.scene.stranger, self.namespace("d")
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        isolated = "on" if world.kind == ISOLATED else "off"
        self.shell(
            f"ip link add {vif.name} address {_PORT_MAC} mtu {world.scene.mtu} type veth "
            f"peer name eth0 address {vif.mac} mtu {world.scene.mtu} netns {name}\n"
            f"sysctl -qw net/ipv6/conf/{vif.name}/disable_ipv6=1\n"
            f"ip link set {vif.name} master {world.bridge}\n"
            f"bridge link set dev {vif.name} isolated {isolated}\n"
            f"ip link set {vif.name} up\n"
        )
        # The other end would go with the namespace, but later.
        self._later(self.run, "ip", "link", "del", vif.name)
        self.shell("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1\nip link set eth0 up\n", "d")

    def _add_addresses(self) -> None:
        """Guest b has all its addresses, and the hypervisor one of each family on the bridge, as long as this lasts."""
        scene = self.world.scene
        wanted = [("b", address) for address in (*scene.guests[1].addresses4, *scene.guests[1].addresses6)]
        wanted += [("host", address) for address in (scene.host.ll, scene.host.ip4, scene.host.ip6)]
        for name, address in wanted:
            device = self.device(name)
            own = _addresses(self.namespace(name), device)
            if address not in own and address not in (ABSENT.ip4, ABSENT.ip6):
                length, *more = self._length(address)
                self.run("ip", "addr", "add", f"{address}/{length}", "dev", device, *more, inside=name)
                self._later(self.run, "ip", "addr", "del", f"{address}/{length}", "dev", device, inside=name)

    def _length(self, address: str) -> tuple[str, ...]:
        """The prefix length of an address on the bridge, with more words for ip(8)."""
        if address.startswith("fe80:"):
            return "64", "nodad"
        if self.world.routed:
            return ("128", "nodad") if ":" in address else ("32",)
        network = self.world.scene.network6 if ":" in address else self.world.scene.network4
        length = network.partition("/")[2]
        return (length, "nodad") if ":" in address else (length,)


def _ip(namespace: str, *words: str) -> Any:
    done = subprocess.run(["ip", "-n", namespace, "-d", "-json", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (namespace, words, done.stderr)
    return json.loads(done.stdout or "[]")


def _link(namespace: str, device: str) -> Any:
    return _ip(namespace, "link", "show", "dev", device)[0]


def _addresses(namespace: str, device: str) -> list[str]:
    return [item["local"] for item in _ip(namespace, "addr", "show", "dev", device)[0]["addr_info"] if item]


def _station(namespace: str, device: str) -> Station:
    """An interface with its own addresses; without a global one of IPv6, its link-local address stands for it."""
    addresses = _addresses(namespace, device)
    mac = _link(namespace, device)["address"]
    ip4 = next((address for address in addresses if ":" not in address), "")
    ll = next((address for address in addresses if address.startswith("fe80:")), "")
    ip6 = next((address for address in addresses if ":" in address and not address.startswith("fe80:")), ll)
    return Station(mac, ip4, ip6, ll or link_local(mac))


def _device_with(namespace: str, address: str) -> str:
    for link in _ip(namespace, "addr", "show"):
        if any(item.get("local") == address for item in link.get("addr_info", ())):
            return str(link["ifname"])
    raise LookupError(f"no interface of {namespace} has {address}, the gateway's address")


def _default_device(namespace: str) -> str:
    """The interface by which a host reaches the outside."""
    return str(_ip(namespace, "route", "show", "default")[0]["dev"])


def _other_end(namespace: str, device: str) -> tuple[str, str]:
    """Namespace and name of the other end of a cable."""
    link = _link(namespace, device)
    there = next(item["name"] for item in _ip(namespace, "netns", "list-id") if item["nsid"] == link["link_netnsid"])
    return there, next(item["ifname"] for item in _ip(there, "link", "show") if item["ifindex"] == link["link_index"])


def _bridge_nf(namespace: str, bridge: str) -> bool:
    """Whether br_netfilter looks at the bridge's frames."""
    own = _link(namespace, bridge)["linkinfo"]["info_data"].get("nf_call_iptables")
    command = ["ip", "netns", "exec", namespace, "sysctl", "-en", "net.bridge.bridge-nf-call-iptables"]
    return own == 1 or subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "1"
