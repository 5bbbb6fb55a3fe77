"""Pythons of their own for clients that our lock shall not carry."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 180


def run(folder: Path, *command: str, **environment: str) -> str:
    """The command's output; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=SECONDS_MAX,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make(folder: Path, *packages: str) -> Path:
    """A virtual environment with these packages and what they need. uv makes it in seconds, for it keeps what it loads.

    Returns its folder of programs.
    """
    uv = shutil.which("uv", path=f"{os.environ['PATH']}{os.pathsep}{ROOT / '.uv' / 'bin'}")
    home, programs = folder / "venv", folder / "venv" / "bin"
    if uv:
        run(folder, uv, "venv", "--quiet", "--python", sys.executable, str(home))
        run(folder, uv, "pip", "install", "--quiet", "--python", str(programs / "python"), *packages)
    else:
        run(folder, sys.executable, "-m", "venv", str(home))
        run(folder, str(programs / "python"), "-m", "pip", "install", "--quiet", *packages)
    return programs
