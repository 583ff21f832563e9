# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""render in real playbooks. Each run sees private copies of /etc and /run, so that this machine keeps its own."""

from __future__ import annotations

import base64
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

PSK = "kanarienvogel.7_Xq"
PSK2 = "papageienfeder.8_Zw"
BIN = Path(sys.executable).parent
TOP = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")

SANDBOX = """
mount --bind "$1/etc" /etc
mount -t tmpfs tmpfs /run
mkdir "$1/dev"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for name in null zero full random urandom tty; do
    : >"$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
mkdir "$1/dev/shm" "$1/dev/pts"
mount --bind /dev/shm "$1/dev/shm"
mount --bind /dev/pts "$1/dev/pts"
ln -s /proc/self/fd "$1/dev/fd"
ln -s pts/ptmx "$1/dev/ptmx"
ln -s "$1/syslog" "$1/dev/log"
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""


class Controller:
    """A folder with a play and a role `gw`, a folder `etc` that hosts see as /etc, and what they tell their syslog."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["cp", "-a", "/etc", str(folder / "etc")], check=True)
        (folder / "roles/gw/templates").mkdir(parents=True)
        (folder / "roles/gw/tasks").mkdir()
        (folder / "vault").write_text("password\n")
        self.write("ansible.cfg", "[defaults]\n")
        self.write("vars.yml", f"psk: {self.vaulted(PSK)}psk2: {self.vaulted(PSK2)}")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def vaulted(self, text: str) -> str:
        vault = VaultLib([("default", VaultSecret(b"password"))])
        return "!vault |\n" + textwrap.indent(vault.encrypt(text).decode(), "    ")

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            **more,
        }

    def play(self, tasks: list[dict[str, Any]], *arguments: str, **environment: str) -> str:
        """Run the tasks as those of the role gw; gives all that is printed, and fails if the play does."""
        self.write("roles/gw/tasks/main.yml", yaml.safe_dump(tasks, sort_keys=False))
        self.write(
            "play.yml",
            yaml.safe_dump(
                [
                    {
                        "hosts": "localhost",
                        "connection": "local",
                        "gather_facts": False,
                        "vars_files": ["vars.yml"],
                        "vars": {"ansible_python_interpreter": sys.executable},
                        "roles": ["gw"],
                    }
                ]
            ),
        )
        play = [str(BIN / "ansible-playbook"), "play.yml", "--vault-password-file", "vault", *arguments]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-euc", SANDBOX, "sh", str(self.folder), *play],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(**environment),
        )
        (self.folder / "dev").rmdir()
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output

    @contextmanager
    def syslog(self) -> Iterator[list[str]]:
        """Collect the messages of the hosts meanwhile."""
        messages: list[str] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(str(self.folder / "syslog"))

            def receive() -> None:
                while message := receiver.recv(1 << 20):
                    messages.append(message.decode("utf-8", "replace"))

            thread = threading.Thread(target=receive)
            thread.start()
            try:
                yield messages
            finally:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"", str(self.folder / "syslog"))
                thread.join()
        (self.folder / "syslog").unlink()


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def render(name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "name": name,
        "plainlinux.vpc.render": {"role": "gw", **arguments},
        "register": "__gw_result",
        "ignore_errors": True,
    }


def told(name: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.debug": {"var": "__gw_result"}}


@contextmanager
def watched(*secrets: str) -> Iterator[list[str]]:
    """Look at the command lines of all processes, all the time; gives those that hold a secret."""
    found: list[str] = []
    looks = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal looks
        while not over.is_set():
            looks += 1
            for name in os.listdir("/proc"):
                if name.isdigit():
                    try:
                        line = Path("/proc", name, "cmdline").read_bytes().decode("utf-8", "replace")
                    except OSError:
                        continue
                    found.extend(line for secret in secrets if secret in line)
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
    assert looks


def packed(secret: str, output: str) -> list[str]:
    """What in the output is the secret, packed as it goes to a host."""
    found = []
    for text in re.findall(r"eA[A-Za-z0-9+/]{40,}=*", output):
        try:
            content = zlib.decompress(base64.b64decode(text))
        except (ValueError, zlib.error):
            continue
        if secret.encode() in content:
            found.append(text)
    return found


MAIN = {"dest": "/etc/gw/main.conf", "template": "main.conf.j2", "mode": "0640", "group": "daemon"}
SECRET = {"dest": "/etc/gw/psk.conf", "template": "psk.conf.j2", "secret": True}
TEMPLATES = {
    "main.conf.j2": "{% include 'head.j2' %}\n\npeer {{ peer | default('198.51.100.1') }}\n",
    "head.j2": "# {{ inventory_hostname }}\n",
    "psk.conf.j2": 'secrets {\n  secret = "{{ key | default(psk) }}"\n}\n',
}


def play_of_a_secret(secret: bool) -> list[dict[str, Any]]:
    psk = {**SECRET, "secret": secret}
    direct = {"dest": "/etc/gw/direct", "content": "{{ psk }}", "secret": secret}
    slow = {"command": ["sh", "-c", "cat {dest:/etc/gw/psk.conf}; sleep 0.1"]}
    wrong = {**slow, "refuse": "secret"}
    take = {"command": ["sh", "-c", "cat /etc/gw/psk.conf; sleep 0.1"], "refuse": "papagei"}
    second = {"key": "{{ psk2 }}", "peer": "198.51.100.2"}
    return [
        render("First", files=[MAIN, psk, direct], validate=[slow], apply=[take]),
        told("First result"),
        render("Refused by the checker", files=[MAIN, psk, direct], validate=[wrong]) | {"vars": second},
        told("Refused result"),
        render("Put back", files=[MAIN, psk, direct], apply=[take]) | {"vars": second},
        told("Result of what was put back"),
        render("Second", files=[MAIN, psk]) | {"vars": second},
        told("Second result"),
        render("Wrong place", files=[{**MAIN, "secret": "{{ psk }}"}, "{{ psk }}"]),
        render("Wrong type", files=[{"dest": "/etc/gw/x", "content": ["{{ psk }}"], "secret": True}]),
        render("Wrong list", files="{{ psk }}"),
        render("Wrong mode", files=[{**psk, "secret": True, "mode": "0644"}]),
        render("No account", files=[{**psk, "owner": "nobody-at-all"}]),
        told("Last result"),
        render("Gone", state="absent"),
    ]


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_a_secret_is_in_no_output_and_no_process_list(controller: Controller, pipelining: str) -> None:
    for name, text in TEMPLATES.items():
        controller.write(f"roles/gw/templates/{name}", text)
    with watched(PSK, PSK2) as seen, controller.syslog() as logged:
        output = controller.play(
            # Without pipelining, what is other is how a module gets to the host.
            play_of_a_secret(secret=True)[: None if pipelining == "true" else 8],
            "-vvvvv",
            "--diff",
            ANSIBLE_PIPELINING=pipelining,
            ANSIBLE_DISPLAY_ARGS_TO_STDOUT="true",
            ANSIBLE_DEBUG="true",
            ANSIBLE_LOG_PATH=str(controller.folder / "log"),
        )
    log = (controller.folder / "log").read_text()
    assert "role=gw state=present fileset=NOT_LOGGING_PARAMETER" in "".join(logged)
    output += log + "".join(logged)
    assert seen == []
    assert "kanarien" not in output
    assert "papagei" not in output.replace("'papagei'", "").replace("refuse: papagei", "").replace('"papagei"', "")
    # Nor packed.
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in output
    assert not re.search(r"[A-Za-z0-9+/=]{150,}", output)
    assert "(secret, 45 bytes, changed)" in output
    assert "+peer 198.51.100.2" in output
    assert "The old files are back; run again with them" in output
    if pipelining == "true":
        assert [path.name for path in (controller.folder / "etc").glob("gw*")] == []
        assert not (controller.folder / "etc/plainlinux-vpc").exists()
    left = [
        path for folder in ("local", "remote") for path in (controller.folder / folder).rglob("*") if path.is_file()
    ]
    assert left == []


def test_the_canary_can_sing(controller: Controller) -> None:
    """The same play with files that are not marked as secret."""
    for name, text in TEMPLATES.items():
        controller.write(f"roles/gw/templates/{name}", text)
    output = controller.play(play_of_a_secret(secret=False)[:2], "-vvvvv", "--diff")
    assert f"+{PSK}" in output
    assert f'secret = "{PSK}"' in output
    with watched(PSK) as seen, subprocess.Popen(["sh", "-c", "sleep 60; :", PSK], start_new_session=True) as process:
        end = time.monotonic() + 30
        while not seen and time.monotonic() < end:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert seen


def test_templates_are_found_and_rendered_as_by_template(controller: Controller) -> None:
    text = "{% for name in ['a', 'b'] %}\n  {{ name }}\\n é {{ item }}\n{% endfor %}\n\n{{ none_of_it | default }}\n"
    controller.write("roles/gw/templates/x.j2", text)
    tasks = [
        {"ansible.builtin.template": {"src": "x.j2", "dest": "/etc/gw-reference"}, "vars": {"item": 7}},
        render("Ours", files=[{"dest": "/etc/gw/x", "template": "x.j2"}]) | {"vars": {"item": 7}},
        render("None", files=[{"dest": "/etc/gw/x", "template": "y.j2"}]),
    ]
    output = controller.play(tasks)
    etc = controller.folder / "etc"
    assert (etc / "gw/x").read_bytes() == (etc / "gw-reference").read_bytes()
    assert "template of /etc/gw/x: Could not find or access 'y.j2'" in output


def test_a_vaulted_text_may_be_the_content(controller: Controller) -> None:
    text, content = controller.vaulted(PSK), controller.vaulted(PSK2)
    controller.write("vars.yml", f"text: {text}file:\n  dest: /etc/gw/y\n  secret: true\n  content: {content}")
    controller.play([render("Vaulted", files=[{"dest": "/etc/gw/x", "content": "{{ text }}"}, "{{ file }}"])])
    assert (controller.folder / "etc/gw/x").read_text() == PSK
    assert (controller.folder / "etc/gw/y").read_text() == PSK2


def test_a_host_that_prints_the_module_in_place_of_running_it(controller: Controller) -> None:
    files = [{"dest": "/etc/gw/psk", "content": "{{ psk }}", "secret": True}]
    task = render("Broken interpreter", files=files)
    task["vars"] = {"ansible_python_interpreter": "/bin/cat"}
    output = controller.play([task, told("Result")], "-vvvvv", ANSIBLE_PIPELINING="true")
    # All of it.
    assert '"fileset": "(files)"' in output.replace("\\", "")
    assert packed(PSK, output) == []


def test_check_mode_on_a_blank_host_and_one_transfer(controller: Controller) -> None:
    file = {"dest": "/etc/gw/x", "content": "x\n", "owner": "gw-of-test"}
    check = {"command": ["no-such-checker"]}
    task = render("Blank", files=[file], validate=[check], apply=[{"command": ["no-such-daemon"]}])
    output = controller.play([task], "--check", "--diff", "-vvv", ANSIBLE_PIPELINING="false")
    assert "changed=1" in output
    assert "user gw-of-test: not on this host yet" in output
    assert "not checked, no-such-checker is not installed" in output
    assert "no-such-daemon" in output
    assert len(re.findall(r"PUT .* TO ", output)) == 1
    assert not (controller.folder / "etc/gw").exists()


def test_a_lab_run_touches_no_other_host(controller: Controller) -> None:
    task = render("Not here", files=[{"dest": "/etc/gw/x", "content": "x\n"}])
    output = controller.play([task], "-e", "lab=true")
    assert "this is a lab run (lab=true), but the connection to localhost is" in output
    assert not (controller.folder / "etc/gw").exists()


def test_the_first_example_runs(controller: Controller) -> None:
    documented = runpy.run_path(str(TOP / "plugins/modules/render.py"))["EXAMPLES"]
    task = {key: value for key, value in yaml.safe_load(documented)[0].items() if key != "become"}
    assert "changed=1" in controller.play([task])
    assert (controller.folder / "etc/ssh/ssh_config.d/sites.conf").read_text().startswith("Host site1\n")
    assert "changed=0" in controller.play([task])
