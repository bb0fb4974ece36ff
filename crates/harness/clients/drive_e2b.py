"""Runs commands in a real machine through E2B's own client, by the host's exec relay. E2B's own API has no part in it."""

import os

from e2b import CommandExitException, ConnectionConfig, NotFoundException, PtySize, Sandbox
from e2b.envd.versions import ENVD_DEBUG_FALLBACK
from e2b.exceptions import AuthenticationException

PATIENCE = 120


def sandbox(token):
    """The machine, as E2B's client sees one that it has made."""
    connection = ConnectionConfig(
        debug=True,
        sandbox_url=os.environ["RELAY_URL"],
        http_version=os.environ["RELAY_HTTP_VERSION"],
        request_timeout=PATIENCE,
        extra_sandbox_headers={"X-Access-Token": token},
    )
    return Sandbox(
        sandbox_id="box",
        sandbox_domain=None,
        envd_version=ENVD_DEBUG_FALLBACK,
        envd_access_token=token,
        traffic_access_token=None,
        connection_config=connection,
    )


box = sandbox(os.environ["RELAY_TOKEN"])
commands = box.commands
assert box.is_running()
try:
    sandbox("another token").commands.run("true", timeout=PATIENCE)
    raise AssertionError("whoever does not know the token is refused")
except AuthenticationException:
    pass

ran = commands.run("echo out; echo err >&2; id -un; pwd; echo $A", cwd="/tmp", envs={"A": "b"}, timeout=PATIENCE)
assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "out\nnode\n/tmp\nb\n", "err\n"), ran
assert commands.run("id -u", user="root", timeout=PATIENCE).stdout == "0\n"
try:
    commands.run("echo gone >&2; exit 7", timeout=PATIENCE)
    raise AssertionError("a command that failed is told")
except CommandExitException as failed:
    assert (failed.exit_code, failed.stderr) == (7, "gone\n"), failed

# Input in pieces, more of it than one message takes, and letters of several bytes.
text = "zwölf Boxkämpfer\n" * 20_000
cat = commands.run("cat", background=True, stdin=True, timeout=PATIENCE)
assert cat.pid in [process.pid for process in commands.list()]
read = []


def take(piece):
    """Ends the input when all of it has come out again."""
    read.append(piece)
    if sum(map(len, read)) == len(text):
        commands.close_stdin(cat.pid)


commands.send_stdin(cat.pid, text[:50_000])
commands.stream_input(cat.pid, [text[at : at + 50_000] for at in range(50_000, len(text), 50_000)], timeout=PATIENCE)
assert cat.wait(on_stdout=take).stdout == text

# A command that is left, found again by its number, and ended.
left = commands.run("echo here; exec sleep 600", background=True, timeout=PATIENCE)
left.disconnect()
again = commands.connect(left.pid, timeout=PATIENCE)
assert again.kill()
try:
    again.wait()
    raise AssertionError("a command that was killed is told")
except CommandExitException as killed:
    assert killed.exit_code != 0, killed
assert not commands.kill(left.pid)
try:
    commands.send_stdin(left.pid, "x")
    raise AssertionError("nobody is there")
except NotFoundException:
    pass

shown = []
terminal = box.pty.create(PtySize(rows=24, cols=80), cwd="/tmp", timeout=PATIENCE)
box.pty.resize(terminal.pid, PtySize(rows=50, cols=132))
box.pty.send_stdin(terminal.pid, b"stty size; exit 3\n")
try:
    terminal.wait(on_pty=shown.append)
    raise AssertionError("the shell ended with 3")
except CommandExitException as ended:
    assert ended.exit_code == 3, ended
assert b"50 132" in b"".join(shown), shown
print("driven by E2B's client")
