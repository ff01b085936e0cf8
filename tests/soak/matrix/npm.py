"""The packages that the TypeScript sellers run on: installed once into /.environments, exactly as their lock says.

A set with a folder ``site`` is a Next.js site, too: it is built for production beside its packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from tests.real.environments import (
    BUILD_SECONDS,
    STORE,
    EnvironmentBroken,
    EnvironmentUnavailable,
    clean_environ,
    only_one,
)
from tests.real.programs import Program

NODE = Path(__file__).resolve().parent / "node"
OLDEST = 20
LISTS = ("package.json", "package-lock.json")
SITE = "site"
# What npm says where there is no network, or an index that has Python's packages only.
_UNREACHABLE = re.compile(r"E(NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|AI_AGAIN|NETUNREACH|401|403|404)\b")


def installed(name: str) -> Path:
    """The folder with node_modules for tests/soak/matrix/node/<name>, and `scripts`, through which its scripts run."""
    node = node_version()
    source = NODE / name
    place = os.path.relpath(NODE, STORE)  # the link to the scripts leads there
    files = [source / file for file in LISTS] + sorted(path for path in (source / SITE).rglob("*") if path.is_file())
    wanted = b"".join(file.read_bytes() for file in files) + f"{node} {place}".encode()
    folder = STORE / f"node-{name}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    complete = folder / "complete"  # an installation only counts once it is marked
    if not complete.exists():
        with only_one(folder.name):
            if not complete.exists():
                _install(source, folder)
                complete.touch()
    return folder


def launch(name: str, script: str) -> Program:
    """A script of that set, running.

    It stands in the checkout and is reached through a link beside its packages: node looks for them from there.
    """
    node, *options, path = command(name, script)
    return Program(Path(node), path, options=options)


def command(name: str, script: str) -> list[str]:
    """What starts it."""
    path = installed(name) / "scripts" / name / script
    return [_found("node"), "--preserve-symlinks", "--preserve-symlinks-main", str(path)]


def version_of(name: str, package: str) -> str:
    """As the lock pins it; nothing has to be installed."""
    lock = json.loads((NODE / name / "package-lock.json").read_text("utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


@lru_cache(maxsize=1)
def node_version() -> str:
    _found("npm")
    done = subprocess.run([_found("node"), "--version"], capture_output=True, text=True, timeout=30, check=False)
    version = done.stdout.strip().removeprefix("v")
    if done.returncode or int(version.partition(".")[0] or 0) < OLDEST:
        raise EnvironmentUnavailable(f"the TypeScript sellers need node {OLDEST} or newer, found {version or 'none'}")
    return version


def _found(program: str) -> str:
    if path := shutil.which(program):
        return path
    raise EnvironmentUnavailable(f"the TypeScript sellers need node and npm, and {program} was not found on PATH")


def _install(source: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in LISTS:
        shutil.copy(source / file, folder)
    (folder / "scripts").symlink_to(os.path.relpath(NODE, folder), target_is_directory=True)
    patience = ["--fetch-retries=1", "--fetch-timeout=60000"]
    _run(folder, _found("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", *patience)
    if (source / SITE).exists():
        # A copy: its bundler follows no link that leads away from the packages.
        shutil.copytree(source / SITE, folder / SITE)
        _run(folder, _found("node"), "node_modules/next/dist/bin/next", "build", SITE)


def _run(folder: Path, *order: str) -> None:
    done = subprocess.run(
        order,
        cwd=folder,
        env=_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return
    if trouble := _UNREACHABLE.search(done.stdout):
        raise EnvironmentUnavailable(f"the TypeScript sellers need an npm registry, and npm said {trouble.group()}")
    raise EnvironmentBroken(f"{' '.join(order[:3])} for {folder.name} failed:\n{done.stdout[-6000:]}")


def _environ() -> dict[str, str]:
    """With the proxies: a registry may stand behind one."""
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return clean_environ() | proxies | {"NEXT_TELEMETRY_DISABLED": "1"}
