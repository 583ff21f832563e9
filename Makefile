# The two commands: `make lab` and `make test`. `make help` lists all.
# Variables: INVENTORY=path   ARGS="-e lab_suite=trixie"   PYTHON=python3.12

SHELL := /bin/bash
INVENTORY ?= inventories/example
ARGS ?=
PYTHON ?= python3

# Before PATH changes: the system's interpreter, not that of the virtual environment.
SYSTEM_PYTHON := $(shell command -v $(PYTHON))

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build
export LC_ALL := C.UTF-8
export MOLECULE_GLOB := molecule/*/molecule.yml
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin
export PYTHON := $(SYSTEM_PYTHON)

BUILD := .build
DOCS := $(BUILD)/docs
COLLECTION := $(BUILD)/ansible_collections/plainlinux/vpc
# The lab needs root. Byte code that root leaves in a user's checkout could not be removed by the user.
KEEP := ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH LC_ALL MOLECULE_GLOB PATH
ROOT := $(if $(filter-out 0,$(shell id -u)),sudo env PYTHONDONTWRITEBYTECODE=1 $(foreach v,$(KEEP),"$(v)=$$$(v)"))
PLAYBOOK := $(ROOT) ansible-playbook -i "$(INVENTORY)"

# A scenario for each folder. Those that take longest come first: none of them is to run alone at the end.
LONG := guest_network aws_vpn security_groups default ssh_tunnel shapes xen iptables
SCENARIOS := $(patsubst molecule/%/molecule.yml,%,$(wildcard $(MOLECULE_GLOB)))
MOLECULE := $(addprefix molecule-,$(SCENARIOS))
MOLECULE_LONG := $(filter $(addprefix molecule-,$(LONG)),$(MOLECULE))

LINT := ruff-check ruff-format mypy yamllint ansible-lint changelog-lint docs-lint

.PHONY: help lab lab-down test lint $(LINT) unit attacks sanity molecule $(MOLECULE) molecule-destroy bench docs test-vm clean
.PHONY: setup setup-dev packages-lab packages-test packages-unit packages-clients packages-attacks

help:
	@echo 'make lab        build the twin of INVENTORY (default inventories/example) here, converge and verify it'
	@echo 'make lab-down   remove it'
	@echo 'make test       all that CI runs: lint, unit, attacks, sanity, molecule (each is a target too, and molecule-SCENARIO)'
	@echo 'make bench      benchmarks'
	@echo 'make docs       HTML pages of all plugins and roles, in $(BUILD)/docs'
	@echo 'make test-vm    Debian'\''s kernel in QEMU: lab hosts that boot, and a VPN gateway with kernel ESP'
	@echo 'make clean      remove what make made in this folder, except the virtual environment'
	@echo
	@echo 'Variables: INVENTORY=path  ARGS="-e lab_suite=trixie"  PYTHON=python3.12'

# --- the lab

lab: setup packages-lab
	@$(PLAYBOOK) playbooks/lab.yml -e lab_state=present $(ARGS)
	@$(PLAYBOOK) playbooks/site.yml -e lab=true $(ARGS)
	@$(PLAYBOOK) playbooks/verify.yml -e lab=true $(ARGS)

lab-down: setup
	@$(PLAYBOOK) playbooks/lab.yml -e lab_state=absent $(ARGS)

# --- tests

# Labs that run at the same time share what the first `ip netns add` makes; it must not be one of them that removes it.
test: setup-dev packages-lab packages-test packages-unit packages-clients packages-attacks
	@$(ROOT) sh -ec 'ip netns add vpc-test; ip netns delete vpc-test'
	@python tests/run_steps.py $(LINT) sanity unit $(MOLECULE_LONG) attacks $(filter-out $(MOLECULE_LONG),$(MOLECULE))

lint: $(LINT)

ruff-check: setup-dev
	@ruff check --quiet --output-format concise

ruff-format: setup-dev
	@ruff format --check --quiet

mypy: setup-dev
	@mypy

yamllint: setup-dev
	@yamllint --strict .

ansible-lint: setup-dev
	@ansible-lint --strict --nocolor -q

changelog-lint: setup-dev
	@antsibull-changelog lint

docs-lint: setup-dev
	@antsibull-docs lint-collection-docs --plugin-docs .

unit: setup-dev packages-lab packages-unit packages-clients
	@$(ROOT) python -m pytest

# Raw frames through bridges in network namespaces. tests/attacks/__main__.py does the same to a running lab.
attacks: setup-dev packages-lab packages-attacks
	@$(ROOT) python -m pytest tests/attacks

sanity: setup-dev packages-test
	@python tests/run_sanity.py

molecule: setup-dev packages-lab packages-clients
	@$(ROOT) molecule test --all

$(MOLECULE): molecule-%: setup-dev packages-lab packages-clients
	@$(ROOT) molecule test --scenario-name $*

# Takes a while even where there is nothing.
molecule-destroy: setup-dev
	@! compgen -G '/run/plainlinux-vpc-lab/*' >/dev/null && ! compgen -G '/var/lib/plainlinux-vpc-lab/*' >/dev/null || \
	    $(ROOT) molecule destroy --all

bench: setup-dev packages-lab
	@$(ROOT) python tests/benchmarks/run.py $(ARGS)

test-vm: setup packages-lab
	@$(ROOT) python tests/vm/run.py -i "$(INVENTORY)" $(ARGS)

docs: setup-dev
	@rm -rf $(DOCS) && mkdir -p -m 755 $(DOCS)/rst
	@antsibull-docs sphinx-init --dest-dir $(DOCS) --use-current --squash-hierarchy --sphinx-theme alabaster \
	    --title 'plainlinux.vpc' --project 'plainlinux.vpc' --copyright 'plainlinux.vpc authors' plainlinux.vpc >/dev/null
	@antsibull-docs collection --use-current --squash-hierarchy --no-add-antsibull-docs-version --dest-dir $(DOCS)/rst plainlinux.vpc
	@sphinx-build -q -b html -D extensions=sphinx_antsibull_ext -D suppress_warnings=ref.ref -c $(DOCS) $(DOCS)/rst $(DOCS)/html
	@echo $(DOCS)/html/index.html

clean:
	@$(ROOT) rm -rf $(BUILD) .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache .vpc-plan tests/output
	@$(ROOT) find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# --- setup

setup: .venv/lab.stamp | $(COLLECTION)

setup-dev: .venv/dev.stamp | $(COLLECTION)

.venv/lab.stamp: requirements.txt
	@.ci/packages setup
	@$(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'ansible-core 2.19 needs Python 3.11 or later on the controller: PYTHON=python3.x make ...' >&2; exit 1; }
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || $(SYSTEM_PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/lab.stamp
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Python and Ansible find a collection only under this name.
$(COLLECTION):
	@mkdir -p $(@D)
	@ln -sfn ../../.. $@

packages-lab:
	@.ci/packages lab

packages-test:
	@.ci/packages test

packages-unit:
	@.ci/packages unit

# Guests' own: of DHCP and router advertisements.
packages-clients:
	@.ci/packages clients

packages-attacks:
	@.ci/packages attacks
