#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: render
short_description: Write a set of configuration files as one transaction
version_added: "0.1.0"
description:
  - Takes all configuration files of a role, as texts or as templates that are rendered on the controller, to a host in
    one round trip, and makes the host's files equal to them.
  - Compares content, owner, group and mode. If anything differs, the whole new set is first checked by the programs of
    O(validate), on a copy that only root can read. Then all files are written, each atomically, and the programs of
    O(apply) take them up, each once.
  - If a program of O(apply) or a write fails, the old files are put back, the programs of O(apply) that had run are
    run again with them, and the module fails with the program, its status and its output.
  - A run that was killed is made up for by the next one, programs of O(apply) that had not ended well included.
  - Owns what it has written and nothing else. Under C(/etc/plainlinux-vpc/ROLE/files.json), which only root can read,
    it records its files, with the originals of those that were there before. A file that is no longer in the set is
    removed, or becomes its original again. Folders that it made are removed when they are empty.
  - Texts of files with O(files[].secret) are in no result, diff, message or log, and no program gets them as an
    argument. In the output of programs each word that shares six characters in a row with such a file is hidden,
    unless these also stand in a file of the set that is not secret. As with every module, Ansible's own copy of the
    arguments lies on the host while the module runs, in a file that only the connection's user can read, or with
    pipelining nowhere.
options:
  role:
    description: The role that owns the files. A role gives all its files in one task.
    type: str
    required: true
  state:
    description: V(absent) takes all files of the role away and puts originals back.
    type: str
    choices: [present, absent]
    default: present
  files:
    description: All files of the role on this host. Required with O(state=present), not allowed with O(state=absent).
    type: list
    elements: dict
    suboptions:
      dest:
        description:
          - Absolute path. A symbolic link, or anything else that is no ordinary file, is refused; links in the way to
            it are followed. A file of another role is refused, also under another path that leads to it.
        type: str
        required: true
      content:
        description: The text, as it will be. Either this or O(files[].template) is needed.
        type: str
      template:
        description: A template, looked for and rendered as by M(ansible.builtin.template).
        type: str
      owner:
        description: Name or number of a user. Defaults to V(root).
        type: str
      group:
        description: Name or number of a group. Defaults to V(root).
        type: str
      mode:
        description:
          - Permissions, three or four octal digits in quotes. Defaults to V("0644"), for a secret file to V("0600").
          - A secret file that everybody may read is refused.
        type: raw
      folder_mode:
        description:
          - Permissions of folders on the way to the file that are missing, made for root. Folders that exist are left
            as they are. Defaults to V("0755").
        type: raw
      secret:
        description: Whether the text is shown to nobody. A diff gives its length only.
        type: bool
        default: false
  validate:
    description:
      - Programs that check the whole set before the first write. All of them run, and if one finds a mistake nothing
        is written. They run in check mode too, but not if no file differs.
    type: list
    elements: dict
    suboptions:
      command:
        description:
          - The program and its arguments. No shell takes part.
          - C({dest:/path}) stands for the copy of that file, C({folder}) for the folder in which all copies lie under
            their own paths, with their own owners and modes. The folder is below C(/run), of mode 0700.
          - Paths in the texts of files lead to the real files, not to the copies.
        type: list
        elements: str
        required: true
      ok:
        description: Exit statuses that are no failure. Defaults to V([0]).
        type: list
        elements: int
      expect:
        description:
          - Regular expression that must match standard output or standard error, C(^) and C($) at each line.
            Some checkers end with status 0 whatever they find.
        type: str
      refuse:
        description: Regular expression that must not match them.
        type: str
      timeout:
        description: Seconds after which the program is killed and has failed, as after 8 MiB of output. Defaults to
          V(60).
        type: int
      required:
        description:
          - Whether it is an error that the program is not installed. If V(false), and always in check mode, it is a
            warning.
        type: bool
        default: true
  apply:
    description:
      - Programs that take up the files after all are written, in this order, each once. With O(state=absent) after all
        are taken away.
    type: list
    elements: dict
    suboptions:
      when_changed:
        description:
          - Shell patterns of paths; the program runs if one matches a file that was written, removed or put back.
            C(*) also matches C(/). Defaults to every file.
        type: list
        elements: str
      command:
        description: The program and its arguments. No shell takes part.
        type: list
        elements: str
        required: true
      ok:
        description: Exit statuses that are no failure. Defaults to V([0]).
        type: list
        elements: int
      expect:
        description:
          - Regular expression that must match standard output or standard error. Not asked for when the program runs
            again with the old files.
        type: str
      refuse:
        description: Regular expression that must not match them.
        type: str
      timeout:
        description: Seconds after which the program is killed and has failed, as after 8 MiB of output. Defaults to
          V(60).
        type: int
  fileset:
    description: Set by the action plugin, all of the above, packed.
    type: str
  lab_host:
    description: Set by the action plugin in a lab run, the lab host that this must be.
    type: str
attributes:
  check_mode:
    support: full
    description: The comparison and the checks are the same; nothing is written but the copies that are checked.
  diff_mode:
    support: full
    description: Shows texts, and owners and modes where they differ. Of secret files, of those with control characters
      and of those past 262144 characters it shows the length only.
  idempotent:
    support: full
    description: A second run changes nothing and runs no program.
extends_documentation_fragment: [plainlinux.vpc.attributes]
notes:
  - Programs that are confined, for example by AppArmor, may not be able to read the copies.
seealso:
  - module: ansible.builtin.template
  - module: plainlinux.vpc.host_state
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Configure the SSH client for two sites, checked by itself
  plainlinux.vpc.render:
    role: ssh_tunnel
    files:
      - dest: /etc/ssh/ssh_config.d/sites.conf
        content: |
          Host site1
              HostName 192.0.2.1
              User vpn7
    validate:
      - command: [ssh, -G, -F, "{dest:/etc/ssh/ssh_config.d/sites.conf}", site1]
        expect: ^hostname 192\.0\.2\.1$
  become: true

- name: Configure tunnels and BGP together
  plainlinux.vpc.render:
    role: vpn_gateway
    files:
      - dest: /etc/swanctl/conf.d/vpc.conf
        template: swanctl.conf.j2
      - dest: /etc/swanctl/conf.d/vpc-secrets.conf
        template: swanctl-secrets.conf.j2
        secret: true
      - dest: /etc/frr/frr.conf
        template: frr.conf.j2
        owner: frr
        group: frr
        mode: "0640"
    validate:
      - command: [vtysh, -C, -f, "{dest:/etc/frr/frr.conf}"]
    apply:
      - command: [swanctl, --load-all, --noprompt]
        when_changed: [/etc/swanctl/*]
        refuse: loading .* failed
      - command: [systemctl, reload, frr]
        when_changed: [/etc/frr/*]
  become: true

- name: Take them away
  plainlinux.vpc.render:
    role: vpn_gateway
    state: absent
    apply:
      - command: [systemctl, reload, frr]
        when_changed: [/etc/frr/*]
  become: true
"""

RETURN = r"""
files:
  description: Paths that were, or in check mode would be, written.
  returned: success
  type: dict
  contains:
    added:
      description: New files.
      type: list
      elements: str
    changed:
      description: Files whose content, owner, group or mode differed.
      type: list
      elements: str
    removed:
      description: Files that are no longer in the set.
      type: list
      elements: str
    restored:
      description: Files that are no longer in the set and are again what they were before it.
      type: list
      elements: str
  sample: {"added": ["/etc/swanctl/conf.d/vpc.conf"], "changed": ["/etc/frr/frr.conf"], "removed": [], "restored": []}
checked:
  description: Programs of O(validate) that were run.
  returned: success
  type: list
  elements: str
  sample: ["vtysh -C -f {dest:/etc/frr/frr.conf}"]
applied:
  description: Programs of O(apply) that were, or in check mode would be, run.
  returned: success
  type: list
  elements: str
  sample: ["systemctl reload frr"]
errors:
  description: Every mistake in the arguments.
  returned: if the arguments are refused
  type: list
  elements: dict
  contains:
    path:
      description: Where it stands.
      type: str
      sample: files[0].mode
    message:
      description: What is wrong and what is allowed.
      type: str
"""

import base64
import json
import zlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import lab_host
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset import result, transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import Fileset


def main() -> None:
    program: dict[str, Any] = {
        "command": {"type": "list", "elements": "str", "required": True},
        "ok": {"type": "list", "elements": "int"},
        "expect": {"type": "str"},
        "refuse": {"type": "str"},
        "timeout": {"type": "int"},
    }
    file: dict[str, Any] = {
        "dest": {"type": "str", "required": True},
        "content": {"type": "str", "no_log": True},
        "template": {"type": "str"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
        "folder_mode": {"type": "raw"},
        "secret": {"type": "bool", "default": False, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            # The action plugin keeps these three and sends fileset.
            "files": {"type": "list", "elements": "dict", "options": file},
            "validate": {
                "type": "list",
                "elements": "dict",
                "options": {**program, "required": {"type": "bool", "default": True}},
            },
            "apply": {
                "type": "list",
                "elements": "dict",
                "options": {**program, "when_changed": {"type": "list", "elements": "str"}},
            },
            "fileset": {"type": "str", "no_log": True},
            "lab_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    wrong = lab_host.wrong(params["lab_host"])
    if wrong or not params["fileset"]:
        module.fail_json(msg=wrong or "the action plugin of this module did not run")
    content = json.loads(zlib.decompress(base64.b64decode(params["fileset"])))
    options = transaction.Options(check=module.check_mode)
    try:
        done = transaction.Transaction(Fileset.of(content), options).apply()
    except (transaction.RefusedError, transaction.LockedError) as error:
        module.fail_json(msg=f"{str(error).rstrip('.')}. Nothing was changed.")
    except transaction.FailedError as error:
        module.fail_json(msg=str(error))
    for warning in done.warnings:
        module.warn(warning)
    module.exit_json(**result.present(done, diff=module._diff))


if __name__ == "__main__":
    main()
