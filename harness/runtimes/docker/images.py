"""Images without a registry: built on first use, and named by the content they were built from.

    base      debian:bookworm-slim if it is here or can be pulled within seconds, else made with mmdebstrap or
              debootstrap from Debian's packages and imported; likewise any other suite
    debian    base + the Debian packages that a description names
    python    base + python3
    host      python + tini, iptables, iproute2, e2fsprogs and the agent
    node      python + nodes/ and names.py (nothing else: the standard library must do)

A tag is the hash of everything that went in, so a change of a file makes a new image and no change makes none.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from splitbrain import names, nodes
from splitbrain.errors import EnvironmentFailure, UsageError
from splitbrain.nodes.systems.base import OwnImage
from splitbrain.runtimes.docker.engine import translated

SUITE = "bookworm"
OF_PACKAGES = """ARG BASE
FROM ${BASE}
RUN printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \\
 && apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends PACKAGES \\
 && rm -rf /var/lib/apt/lists/*
"""
"""An image of Debian packages: none of their services is started while it is built."""
IMAGES_PYTHON = "3.11"  # of that suite
PULL_SECONDS = 20
MOST_CONTEXT = 256 << 20  # bytes of a user's folder, which are read into memory
LABEL = "splitbrain.image"
AGENT = "splitbrain/runtimes/docker/agent"  # the package keeps its name in the image, and nothing above it is there

Say = Callable[[str], None]


class BuildInterrupted(Exception):
    """The run was told to end while an image was being made."""


@dataclass(frozen=True, slots=True)
class Images:
    """The tags of the images that a cluster needs: of its hosts, and of what runs on them by folder."""

    host: str
    of: Mapping[str | OwnImage, str]


class ImageBuilder:
    """Makes images on one engine. ``stop`` may be set from another thread to end a build soon."""

    def __init__(self, client: docker.DockerClient, say: Say, stop: threading.Event) -> None:
        self._client = client
        self._say = say
        self._stop = stop

    def ensure(self, folders: Sequence[str | OwnImage]) -> Images:
        """The images of those folders of ``nodes/images``, and the host's, built where they are missing.

        Raises EnvironmentFailure with the builder's last lines.
        """
        with translated("making the images"):
            base = self._base()
            python = self._built("python", _dockerfile(_here("images/python")), {}, base)
            host = self._built("host", _dockerfile(_here("images/host")), _package_files(_here("agent"), AGENT), python)
            return Images(host=host, of={folder: self._of_system(folder, python) for folder in folders})

    def _of_system(self, image: str | OwnImage, base: str) -> str:
        match image:
            case str():
                return self._built_folder(image, base)
            case OwnImage(folder=str(folder)):
                root = Path(folder)
                files = files_within(root)
                del files["Dockerfile"]
                return self._built("own", _dockerfile(root), files, base)
            case OwnImage(suite=str(suite), packages=packages):
                content = OF_PACKAGES.replace("PACKAGES", " ".join(packages) or "base-files")
                return self._built("debian", content.encode(), {}, self._base(suite))
            case OwnImage(tag=tag):
                if self._exists(str(tag)) or self._pulled(str(tag)):
                    return str(tag)
                raise EnvironmentFailure(f"the engine has no image {tag}, and it cannot be pulled: build or load it")

    def _built_folder(self, name: str, base: str) -> str:
        """An image of a system: its folder's files, what its ``wheels.txt`` names, and ``nodes/`` if it takes that."""
        package = Path(nodes.__file__).parent
        folder = package / name
        files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name != "Dockerfile"}
        dockerfile = _dockerfile(folder)
        if b"COPY splitbrain " in dockerfile:
            files |= {**_package_files(package, "splitbrain/nodes"), "splitbrain/names.py": Path(str(names.__file__))}
        if "wheels.txt" not in files:
            return self._built(short_name(name), dockerfile, files, base)
        with tempfile.TemporaryDirectory(prefix="splitbrain-wheels-") as scratch:
            return self._built(short_name(name), dockerfile, files, base, wheels=Path(scratch))

    def _base(self, suite: str = SUITE) -> str:
        """A small Debian of that suite."""
        debian = f"debian:{suite}-slim"
        if self._exists(debian):
            return debian
        bootstrapped = f"splitbrain/base:{suite}-{platform.machine()}"
        if self._exists(bootstrapped):
            return bootstrapped
        with self._turn():
            if self._exists(bootstrapped):
                return bootstrapped
            if self._exists(debian) or self._pulled(debian):
                return debian
            self._bootstrap(bootstrapped, suite)
        return bootstrapped

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Serialize builds of simultaneous runs, so that no image is made twice.

        The lock is on this folder: no file is left behind.
        """
        folder = os.open(_here("."), os.O_RDONLY)
        try:
            while not _locked(folder):
                if self._stop.wait(0.1):
                    raise BuildInterrupted
            yield
        finally:
            os.close(folder)

    def _exists(self, tag: str) -> bool:
        try:
            self._client.images.get(tag)
        except ImageNotFound:
            return False
        return True

    def _pulled(self, tag: str) -> bool:
        """Whether ``tag`` could be pulled in good time; a slow registry is as good as none."""
        outcome: list[bool] = []

        def pull() -> None:
            try:
                self._client.images.pull(tag)
                outcome.append(True)
            except DockerException:
                outcome.append(False)

        self._say(f"pulling {tag}")
        puller = threading.Thread(target=pull, daemon=True)
        puller.start()
        puller.join(PULL_SECONDS)
        return bool(outcome and outcome[0])

    def _bootstrap(self, tag: str, suite: str) -> None:
        """A minimal Debian of that suite from its packages, imported as an image."""
        self._say(f"no registry answers: making a Debian {suite} base from packages")
        with tempfile.TemporaryDirectory(prefix="splitbrain-base-") as scratch:
            archive = Path(scratch) / "base.tar"
            if shutil.which("mmdebstrap"):
                self._run(["mmdebstrap", "--variant=minbase", "--quiet", suite, str(archive)])
            elif shutil.which("debootstrap"):
                root = Path(scratch) / "root"
                self._run(["debootstrap", "--variant=minbase", suite, str(root)])
                self._run(["tar", "-C", str(root), "-cf", str(archive), "."])
            else:
                raise EnvironmentFailure(
                    f"debian:{suite}-slim cannot be pulled and there is no mmdebstrap or debootstrap to make one: "
                    "install mmdebstrap (make engine does, as root on Debian or Ubuntu) or load that image by hand"
                )
            self._client.api.import_image_from_file(str(archive), *_repository_and_tag(tag))

    def _fetch_wheels(self, wanted: Path, to: Path) -> None:
        """Download what ``wanted`` names into the folder ``to``; each file must have a hash that stands there."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
        of_images = ["--only-binary=:all:", "--python-version", IMAGES_PYTHON, "--require-hashes"]
        self._run([*pip, *of_images, "--requirement", str(wanted), "--dest", str(to)])

    def _run(self, command: list[str]) -> None:
        """Run a tool of the host, ended when the run is."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            while process.poll() is None:
                if self._stop.wait(0.1):
                    process.terminate()
                    process.wait()
                    raise BuildInterrupted
            if process.returncode != 0:
                output.seek(0)
                last = "".join(output.readlines()[-8:]).strip()
                raise EnvironmentFailure(f"{command[0]} failed with status {process.returncode}:\n{last}")

    def _built(
        self, name: str, dockerfile: bytes, files: Mapping[str, Path], base: str, wheels: Path | None = None
    ) -> str:
        """The image's tag. Wheels are fetched here, into that folder: inside a build there may be no index."""
        contents = {"Dockerfile": dockerfile}
        contents |= {path: source.read_bytes() for path, source in files.items()}
        tag = f"splitbrain/{name}:{_digest(contents, self._id(base))}"
        if self._exists(tag):
            return tag
        with self._turn():
            if self._exists(tag):
                return tag
            self._say(f"building the {name} image")
            if wheels is not None:
                self._fetch_wheels(files["wheels.txt"], wheels)
                contents |= {f"wheels/{path.name}": path.read_bytes() for path in sorted(wheels.iterdir())}
            self._build(tag, _archive(contents), base)
        return tag

    def _id(self, tag: str) -> str:
        return str(self._client.images.get(tag).id)

    def _build(self, tag: str, context: io.BytesIO, base: str) -> None:
        """Build over the API, line by line, so that it can be given up half-way."""
        lines: list[str] = []
        try:
            for event in self._client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs={"BASE": base},
                rm=True,
                forcerm=True,
                labels={LABEL: tag.split(":")[0]},
                decode=True,
            ):
                if self._stop.is_set():
                    raise BuildInterrupted
                lines.append(str(event.get("stream", "")))
                if "error" in event:
                    last = "".join(lines[-12:]).strip()
                    raise EnvironmentFailure(f"image {tag} did not build: {event['error']}\n{last}")
        except APIError as failure:
            raise EnvironmentFailure(f"image {tag} did not build: {failure.explanation}") from failure


def files_within(root: Path) -> dict[str, Path]:
    """The files of a user's folder, by their path in it. Raises UsageError for a link out of it, and for too many."""
    files, size = {}, 0
    for path in sorted(root.rglob("*")):
        if not path.resolve().is_relative_to(root.resolve()):
            raise UsageError(f"{path}: expected a file within {root}, got a link to {path.resolve()}")
        if path.is_file():
            files[path.relative_to(root).as_posix()] = path
            size += path.stat().st_size
        if size > MOST_CONTEXT:
            raise UsageError(f"{root}: expected at most {MOST_CONTEXT >> 20} MiB of files for an image, got more")
    return files


def image_ids(client: docker.DockerClient, tags: Iterable[str]) -> dict[str, str]:
    """The content digests of these images: a tag of a user's may name another image tomorrow."""
    with translated("inspecting the images"):
        return {tag: str(client.images.get(tag).id) for tag in tags}


def short_name(folder: str) -> str:
    """``systems/etcd/image`` as an image is named: ``etcd``; ``systems/zookeeper/contender_image``:
    ``zookeeper-contender``."""
    parts = (part.removesuffix("image").strip("_") for part in folder.split("/") if part not in ("systems", "images"))
    return "-".join(part for part in parts if part)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _dockerfile(folder: Path) -> bytes:
    return (folder / "Dockerfile").read_bytes()


def _here(path: str) -> Path:
    return Path(__file__).parent / path


NOT_IN_IMAGES = frozenset({"tests", "clients", "client.py"})
"""Tests, and how a system is asked from outside, which needs more than the standard library."""


def _package_files(package: Path, name: str) -> dict[str, Path]:
    """The modules of a package that go into an image, by their path in the build context."""
    modules = sorted(p for p in package.rglob("*.py") if NOT_IN_IMAGES.isdisjoint(p.relative_to(package).parts))
    return {f"{name}/{path.relative_to(package).as_posix()}": path for path in modules}


def _digest(contents: Mapping[str, bytes], base: str) -> str:
    digest = hashlib.sha256(base.encode())
    for path in sorted(contents):
        digest.update(path.encode() + b"\0" + hashlib.sha256(contents[path]).digest())
    return digest.hexdigest()[:16]


def _archive(contents: Mapping[str, bytes]) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(contents):
            entry = tarfile.TarInfo(path)
            entry.size = len(contents[path])
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(contents[path]))
    archive.seek(0)
    return archive


def _repository_and_tag(tag: str) -> Iterable[str]:
    return tag.rsplit(":", 1)
