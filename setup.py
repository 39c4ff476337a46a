"""A shim: everything is in setup.cfg, but for what makes two builds the same to the last bit."""

import gzip
import os
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

# The files in the wheel get this time as well. See reproducible-builds.org, SOURCE_DATE_EPOCH.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1580601600")
os.umask(0o022)


class Sdist(sdist):
    """An sdist without times, owners and modes of the machine that it was built on."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **_):
        assert format == "gztar", "PyPI takes no other"
        name, epoch = f"{base_name}.tar.gz", int(os.environ["SOURCE_DATE_EPOCH"])

        def plain(member):
            executable = member.isdir() or member.mode & 0o100
            member.mode = 0o755 if executable else 0o644
            member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
            member.mtime = epoch
            return member

        with (
            open(name, "wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=epoch) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            tree = Path(root_dir or ".", base_dir)
            for path in [tree, *sorted(tree.rglob("*"))]:
                archive.add(path, Path(base_dir, path.relative_to(tree)), False, filter=plain)
        return name


setup(cmdclass={"sdist": Sdist})
