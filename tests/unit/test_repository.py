# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no linter checks: that the parts of the repository that name each other agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
MODULES = sorted(path for path in (TOP / "plugins" / "modules").glob("*.py") if not path.name.startswith("_"))
ROLES = sorted(path for path in (TOP / "roles").glob("*") if path.is_dir())
HOST_ROLES = [role for role in ROLES if role.name in ("guest_network", "hypervisor", "router")]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def texts_of(module: Path) -> dict[str, Any]:
    """DOCUMENTATION, EXAMPLES and RETURN of a module, parsed."""
    return {
        node.targets[0].id: yaml.safe_load(node.value.value)
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }


def test_action_group_names_every_module() -> None:
    assert load(TOP / "meta" / "runtime.yml")["action_groups"]["vpc"] == [module.stem for module in MODULES]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_examples_use_only_options_that_exist(module: Path) -> None:
    texts = texts_of(module)
    options = set(texts["DOCUMENTATION"].get("options") or {})
    used = [task[name] for task in texts["EXAMPLES"] for name in task if name == f"plainlinux.vpc.{module.stem}"]
    assert used, "no example calls the module by its full name"
    for arguments in used:
        assert set(arguments or {}) <= options


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_role_has_a_readme(role: Path) -> None:
    assert (role / "README.md").is_file()


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_every_entry_point_of_a_role_has_a_spec(role: Path) -> None:
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    for entry_point in specs:
        assert (role / "tasks" / f"{entry_point}.yml").is_file()
    if role in HOST_ROLES:
        assert {"main", "verify", "absent"} <= set(specs)


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_defaults_and_spec_of_a_role_agree(role: Path) -> None:
    options: dict[str, Any] = {}
    for spec in load(role / "meta" / "argument_specs.yml")["argument_specs"].values():
        options.update(spec.get("options") or {})
    defaults = role / "defaults" / "main.yml"
    given = set((load(defaults) if defaults.is_file() else None) or {})
    assert given <= set(options)
    documented = {name for name, option in options.items() if "default" in option and name.startswith(f"{role.name}_")}
    assert documented <= given


def test_tasks_from_has_no_extension() -> None:
    # With one, Ansible finds the file but not the spec of the entry point, and validates nothing.
    found = [
        str(path.relative_to(TOP))
        for folder in ("roles", "playbooks", "molecule")
        for path in (TOP / folder).rglob("*.yml")
        if re.search(r"tasks_from:\s*\S+\.ya?ml", path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned(name: str) -> None:
    lines = (TOP / name).read_text(encoding="utf-8").splitlines()
    loose = [line for line in lines if line and not re.match(r"#|-r |[\w.-]+==[\w.]+$", line)]
    assert loose == []


def test_changelog_knows_the_version() -> None:
    version = load(TOP / "galaxy.yml")["version"]
    assert f"v{version}" in (TOP / "CHANGELOG.rst").read_text(encoding="utf-8")
