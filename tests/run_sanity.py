# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` on a copy of the checkout; arguments are passed on.

ansible-test insists on a folder ansible_collections/plainlinux/vpc. It gets a home of its own in .build, where its
virtual environments stay for the next run, so that nothing is written to the user's.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import ansible_test

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / ".build" / "ansible-test"

# ansible-test downloads get-pip from a fixed address. Python brings a pip of its own, which then fetches the wanted
# version from the index that pip is configured for.
BOOTSTRAP = """\
import subprocess
import sys

# In a process of its own: ensurepip switches pip's configuration off.
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
unknown = ("--no-setuptools", "--no-wheel")
arguments = [argument for argument in sys.argv[1:] if argument not in unknown]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))
"""


def write_bootstrap() -> None:
    """Put BOOTSTRAP where each ansible-test looks for the get-pip of the version it wants."""
    source = Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    versions = set(re.findall(r"\bpip='([0-9.]+)'", source.read_text(encoding="utf-8")))
    if not versions:
        sys.exit(f"No version of pip found in {source}: ansible-test has changed.")
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP, encoding="utf-8")


def write_pip_configuration() -> None:
    """Save the user's configuration of pip for the other home: ansible-test passes no PIP_ variable on."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    options = configparser.ConfigParser(interpolation=None, default_section="")
    # Variables, which pip lists as section :env:, win over files: last.
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _equals, value = line.partition("=")
        section, _dot, option = key.partition(".")
        options.read_dict({"global" if section == ":env:" else section: {option: str(ast.literal_eval(value))}})
    options.read_dict({"global": {"quiet": "2"}})  # errors only
    path = HOME / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # an index address may hold a password
    with path.open("w", encoding="utf-8") as file:
        options.write(file)


def copy_checkout(target: Path) -> None:
    """Copy what git tracks, or would, and make it a repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source, copy = CHECKOUT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet", str(target)], check=True)


def main() -> int:
    # An exit, unlike a signal, removes the copy.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    write_bootstrap()
    write_pip_configuration()
    with tempfile.TemporaryDirectory(prefix="sanity-") as folder:
        target = Path(folder) / "ansible_collections" / "plainlinux" / "vpc"
        target.mkdir(parents=True)
        copy_checkout(target)
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        program = Path(sys.executable).parent / "ansible-test"
        command = [str(program), "sanity", "--venv", "--python", python, "--color", "no", *sys.argv[1:]]
        return subprocess.run(command, cwd=target, env={**os.environ, "HOME": str(HOME)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
