# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-shared keys, read from Ansible's variables at the last moment: no plan has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleUndefinedVariable
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import SECTION
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_psk import check_psk

_PATH = re.compile(rf"{SECTION}\[(\d+)\]\.tunnels\[(\d+)\]")

Template = Callable[[Any], Any]


def keys(task_vars: Mapping[str, Any], template: Template, tunnels: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Key by name of tunnel. tunnels: as in the plan's summary; name, path and psk_variable are looked at.

    Raises AnsibleActionFail with every key that is missing or that no program could take; no message shows a key.
    """
    found: dict[str, str] = {}
    errors = []
    for tunnel in tunnels:
        variable = tunnel["psk_variable"]
        path = f"{tunnel['path']}.psk" if variable is None else f"{variable} (psk_variable of {tunnel['path']})"
        try:
            value = template(_written(task_vars, template, tunnel["path"]) if variable is None else task_vars[variable])
            check_psk(value)
        except (KeyError, IndexError, TypeError):
            errors.append(f"{path}: is not defined")
        except ValueError as error:
            errors.append(f"{path}: {error}")
        except AnsibleUndefinedVariable:
            errors.append(f"{path}: uses a variable that is not defined")
        except AnsibleError as error:
            # Its message may quote the template, which may have the key.
            errors.append(f"{path}: cannot be templated ({type(error).__name__})")
        else:
            found[tunnel["name"]] = str.__str__(value)
    if errors:
        raise AnsibleActionFail("\n".join(errors)) from None
    return found


def _written(task_vars: Mapping[str, Any], template: Template, path: str) -> Any:
    """The key as it stands in vpc_vpn_connections, perhaps a template."""
    place = _PATH.fullmatch(path)
    if place is None:
        raise KeyError(path)
    value: Any = task_vars[SECTION]
    for step in (int(place[1]), "tunnels", int(place[2]), "psk"):
        # Level by level: a template of another tunnel, which may be broken, is none of ours.
        value = (template(value) if isinstance(value, str) else value)[step]
    return value
