"""Drives a real machine through the client that openapi-python-client generated."""

import os
import sys

from computer_host_client import AuthenticatedClient
from computer_host_client.api.guests import exec_, operate_on_files
from computer_host_client.api.machines import create_machine, list_machines, show_machine
from computer_host_client.api.snapshots import create_snapshot, show_snapshot
from computer_host_client.models import (
    CreateMachineRequest,
    CreateSnapshotRequest,
    ErrorBody,
    ExecRequest,
    FileOperationRequest,
)

client = AuthenticatedClient(base_url=os.environ["HOST_URL"], token=os.environ["HOST_TOKEN"], timeout=120)
machine = sys.argv[1]


def answered(answer, kind=None):
    """The answer, unless it is an error."""
    assert answer is not None and not isinstance(answer, ErrorBody), answer
    return answer


names = [one.id for one in answered(list_machines.sync(client=client)).machines]
assert names == [machine], names
assert answered(show_machine.sync(machine, client=client)).machine.phase == "running"

ran = answered(exec_.sync(machine, client=client, body=ExecRequest.from_dict(
    {"command": ["sh", "-c", "echo out; echo err >&2; exit 3"], "user": "root", "cwd": "/"})))
assert (ran.exit_code, ran.stdout, ran.stderr) == (3, "out\n", "err\n"), ran


def operate(**request):
    body = FileOperationRequest.from_dict(request)
    return answered(operate_on_files.sync(machine, client=client, body=body))


written = operate(operation="write_text", path="python.txt", content="written by Python")
assert operate(operation="read_text", path="python.txt").content == "written by Python"
patched = operate(operation="patch", path="python.txt", edits=[{"find": "Python", "replace": "a client"}])
assert patched.version != written.version

snapshot = CreateSnapshotRequest(snapshot_id="by-python")
taken = answered(create_snapshot.sync(machine, client=client, body=snapshot))
assert {one.id for one in taken.artifacts} >= {"manifest", "memory"}, taken
assert answered(show_snapshot.sync("by-python", client=client)).snapshot.machine_id == machine

missing = show_machine.sync("none", client=client)
assert isinstance(missing, ErrorBody) and missing.code == "not_found", missing
taken_id = create_machine.sync(client=client, body=CreateMachineRequest.from_dict(
    {"machine_id": machine, "artifact": {"kernel_image_url": "file:///none", "rootfs_url": "file:///none"}}))
assert isinstance(taken_id, ErrorBody), taken_id
print("driven by Python")
