"""The lock installs one released torch, from any index, with or without CUDA."""

import re
import tomllib

from milestones.harness.injection import ROOT

LOCK = (ROOT / "requirements.lock").read_text().split()


def test_every_line_pins_one_release():
    for line in LOCK:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.a-z]*", line), line


def test_torch_has_no_local_suffix_and_brings_no_cuda():
    assert "torch==2.13.0" in LOCK
    assert not [line for line in LOCK if re.match(r"(nvidia|triton|cuda)", line)]


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {normal(line.split("==")[0]) for line in LOCK}
    assert {normal(re.match(r"[\w-]+", want)[0]) for want in wanted} <= names


def normal(name: str) -> str:
    """PyPI knows a package by any spelling of its name."""
    return name.lower().replace("_", "-")
