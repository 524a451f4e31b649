"""A PostgreSQL of its own for tests: a throw-away cluster on a free port of the loopback."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

USER = "ada"
PASSWORD = "s3cr:et@w/rd"
MISSING = "needs PostgreSQL's server programs; `make test-services` installs Debian's package postgresql"


@dataclass(frozen=True)
class Cluster:
    """A running server. Passwords are asked for."""

    port: int
    programs: Path
    as_user: dict

    def url(self, database, *, password=True):
        """A URL of a database, with the password of its owner unless told otherwise."""
        secret = ":" + quote(PASSWORD, safe="") if password else ""
        return f"postgresql+psycopg://{USER}{secret}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement, database="postgres"):
        """What `psql` answers to a statement, as text."""
        command = [self.programs / "psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-U", USER, "-d", database, "-c", statement]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def server_programs():
    """The folder of initdb and postgres, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    folders += [Path(found).resolve().parent] if found else []
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def running_cluster(programs):
    """A new cluster, stopped and removed afterwards. Root runs it as `postgres`, which PostgreSQL demands."""
    folder = Path(tempfile.mkdtemp(prefix="npuexplore-postgresql-"))
    as_user = _unprivileged(folder)
    try:
        (folder / "password").write_text(PASSWORD + "\n")
        data = folder / "data"
        create = [programs / "initdb", "-D", data, "-U", USER, "--pwfile", folder / "password"]
        _run([*create, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "-N"], folder, as_user)
        port = _free_port()
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c max_connections=200 -c fsync=off"
        control = [programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w"]
        _run([*control, "-o", settings, "start"], folder, as_user)
        try:
            yield Cluster(port, programs, as_user)
        finally:
            _run([*control, "-m", "immediate", "stop"], folder, as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder):
    """Who runs the server: this user, or where that is root, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _run(command, folder, as_user):
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **as_user,
    )
    assert done.returncode == 0, done.stdout
