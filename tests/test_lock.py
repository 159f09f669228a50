"""The lock installs one released torch, from any index, with or without CUDA."""

import re
import tomllib
from importlib.metadata import metadata

import pytest
from packaging.specifiers import SpecifierSet

from milestones.harness.injection import ROOT

LOCK = (ROOT / "requirements.lock").read_text().split()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_line_pins_one_release():
    for line in LOCK:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.a-z]*", line), line


def test_torch_has_no_local_suffix_and_brings_no_cuda():
    assert "torch==2.13.0" in LOCK
    assert not [line for line in LOCK if re.match(r"(nvidia|triton|cuda)", line)]


def test_every_dependency_is_locked():
    wanted = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    names = {normal(line.split("==")[0]) for line in LOCK}
    assert {normal(re.match(r"[\w-]+", want)[0]) for want in wanted} <= names


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_every_locked_package_takes_every_python(python):
    """Debian 12 has 3.11.2: a package that wants 3.11.5 leaves its users without an install."""
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    wants = {line: metadata(line.split("==")[0]).get("Requires-Python", "") for line in LOCK}
    assert not [line for line in LOCK if not SpecifierSet(wants[line]).contains(python)]


def normal(name: str) -> str:
    """PyPI knows a package by any spelling of its name."""
    return name.lower().replace("_", "-")
