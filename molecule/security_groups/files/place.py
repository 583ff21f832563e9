# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of this scenario: who is where, sockets and commands there, and other models for it. Read by the programs."""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import netns
from lab_place import Lab, fail, say, wait

__all__ = ["Place", "arguments", "fail", "group", "instance", "say", "wait"]

HERE = Path(__file__).resolve().parent.parent
TABLE = "plainlinux_security_groups"


def arguments(text: str) -> argparse.Namespace:
    """lab, plan (folder), backend."""
    found = argparse.ArgumentParser(description=text)
    found.add_argument("--lab", required=True)
    found.add_argument("--plan", required=True, type=Path)
    found.add_argument("--backend", required=True)
    return found.parse_args()


class Place(Lab):
    """The lab, and the model of the inventory, which a test may change."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(str(given.lab))
        self.plan: Path = given.plan
        self.backend = str(given.backend)
        text = (HERE / "inventory" / "group_vars" / "all.yml").read_text(encoding="utf-8")
        self.inventory: dict[str, Any] = yaml.safe_load(text)
        summary = json.loads((self.plan / "plan.json").read_text(encoding="utf-8"))
        self.addresses: dict[tuple[str, int], str] = {
            (f"vm-{name}", family): str(instance["interfaces"][0][key]).partition("/")[0]
            for name, instance in summary["instances"].items()
            for family, key in ((4, "address"), (6, "address6"))
        }

    def plugged(self) -> None:
        """Wait until every guest has its addresses: after `site` they are plugged into their bridges."""
        summary = json.loads((self.plan / "plan.json").read_text(encoding="utf-8"))
        wanted = {
            (f"vm-{name}", socket.AF_INET if key == "address" else socket.AF_INET6, interface[key].partition("/")[0])
            for name, instance in summary["instances"].items()
            for interface in instance["interfaces"]
            for key in ("address", "address6")
        }
        wait("every guest is plugged", 60, lambda: all(self._has(*item) for item in wanted))

    def _has(self, name: str, family: int, address: str) -> bool:
        with self.socket(name, family, socket.SOCK_DGRAM) as made:
            try:
                made.bind((address, 0))
            except OSError:
                return False
        return True

    def model(self) -> dict[str, Any]:
        """A copy of the inventory's variables, to be changed; without expectations, which a change would not meet."""
        return {**copy.deepcopy(self.inventory), "vpc_expectations": []}

    def apply(self, model: dict[str, Any], *more: str, succeeds: bool = True, playbook: str = "apply.yml") -> str:
        """Make the hypervisors' filters those of a model. Gives what was printed."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as handle:
            json.dump(model, handle)
            handle.flush()
            done = subprocess.run(
                [
                    "ansible-playbook",
                    str(HERE / playbook),
                    f"--inventory={HERE / 'inventory'}",
                    f"--extra-vars=lab=true lab_name={self.lab} vpc_plan_dir={self.plan} vpc_backend={self.backend}",
                    f"--extra-vars=@{handle.name}",
                    *more,
                ],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
            )
        if (done.returncode == 0) != succeeds:
            fail(f"status {done.returncode} of {playbook}:\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def socket(self, name: str, *kind: int) -> socket.socket:
        """A socket in a namespace, given without the lab's name."""
        return netns.inside(f"{self.lab}-{name}", lambda: socket.socket(*kind))

    def rules(self, host: str) -> list[str]:
        """All that a host's filter consists of, a line each, without counters."""
        if self.backend == "nftables":
            return list(_elements(self.on(host, "nft", "-s", "list", "table", "inet", TABLE)))
        text = "".join(self.on(host, *command) for command in (("iptables-save",), ("ip6tables-save",)))
        text += "".join(sorted(self.on(host, "ipset", "save").splitlines(keepends=True)))
        return [line for line in text.splitlines() if not line.startswith((":", "#"))]


def _elements(text: str) -> Iterator[str]:
    """The lines of a table of nft, but a line for each element."""
    name = ""
    for line in re.sub(r",\n\s+", ", ", text).splitlines():
        words = line.split()
        if words[:1] in (["set"], ["map"]):
            name = words[1]
        if "elements = {" in line:
            for element in line.partition("{")[2].rpartition("}")[0].split(","):
                yield f"{name} {element.strip()}"
        else:
            yield line


def group(model: dict[str, Any], name: str) -> dict[str, Any]:
    """A group of a model, to be changed."""
    return next(item for item in model["vpc_security_groups"] if item["name"] == name)


def instance(model: dict[str, Any], name: str) -> dict[str, Any]:
    """An instance of a model, to be changed."""
    return next(item for item in model["vpc_instances"] if item["name"] == name)
