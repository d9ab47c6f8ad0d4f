"""Runs inside the sandbox's process, before the program: `sandbox` passes this text to Python.

Reads a JSON description from standard input, gives up every right that the program does not need,
writes "ready" to the control file, and runs the program in this interpreter. Imports nothing of
the package.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import traceback
from typing import Any

# Flags of unshare(2): mount, IPC, network, PID and user namespaces.
NAMESPACES = 0x00020000 | 0x08000000 | 0x40000000 | 0x20000000 | 0x10000000
READ_ONLY, NOSUID, NODEV, NOEXEC, PRIVATE, RECURSIVE = 1, 2, 4, 8, 1 << 18, 1 << 14
INODES = 1024  # files of the scratch folder
SYS_CAPSET, SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 126, 442, -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
AUDIT_ARCH_X86_64 = 0xC000003E

# System calls of x86-64 that fail with EPERM.
DENIED = {
    "processes and programs": (56, 57, 58, 435, 59, 322),
    "signals and other processes": (62, 200, 234, 129, 297, 434, 424, 438, 101, 310, 311, 302, 160),
    "sessions and groups, by which it is killed": (112, 109),
    "sockets, and io_uring, which makes them too": (41, 53, 425, 426, 427),
    "shared memory, semaphores, queues": (29, 64, 68, 240),
    "namespaces and mounts": (272, 308, 165, 166, 155, 161, 428, 429, 430, 431, 432, 433, 442),
    "the kernel's own": (321, 298, 323, 248, 249, 250),
}

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> None:
    """A function of libc; raises OSError with its name."""
    function = getattr(libc, name)
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    if function(*words) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter_namespaces(folder: str, scratch_bytes: int) -> None:
    """A file system that can only be read but for `folder`, no network, no other processes.

    Returns in a child process; this one waits for it and ends as it does.
    """
    user, group = os.getuid(), os.getgid()
    call("unshare", NAMESPACES)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    child = os.fork()
    if child:
        os.close(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), -status)
        os._exit(status)
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    call("mount", b"none", b"/", None, RECURSIVE | PRIVATE, None)
    size = f"size={scratch_bytes},nr_inodes={INODES},mode=700".encode()
    call("mount", b"tmpfs", folder.encode(), b"tmpfs", NOSUID | NODEV, size)
    try:
        call("mount", b"proc", b"/proc", b"proc", NOSUID | NODEV | NOEXEC, None)
    except OSError:  # where a container hides parts of it: none at all
        call("mount", b"tmpfs", b"/proc", b"tmpfs", NOSUID | NODEV | NOEXEC, b"size=4k")
    # Devices too: without NODEV a user who is root could write to disks.
    set_mount_attributes(b"/", AT_RECURSIVE, READ_ONLY | NOSUID | NODEV, 0)
    set_mount_attributes(folder.encode(), 0, 0, READ_ONLY)
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    call("syscall", SYS_CAPSET, header, none)


def set_mount_attributes(path: bytes, flags: int, add: int, remove: int) -> None:
    """Sets and clears attributes of a mount, or of all below it."""
    call(
        "syscall",
        SYS_MOUNT_SETATTR,
        AT_FDCWD,
        path,
        flags,
        struct.pack("QQQQ", add, remove, 0, 0),
        32,
    )


def forbid_system_calls() -> None:
    """A seccomp filter: DENIED fails, and so does any call of another architecture."""
    numbers = sorted(number for group in DENIED.values() for number in group)
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    deny, kill, allow = 0x00050001, 0x80000000, 0x7FFF0000
    program = [(load, 0, 0, 4), (equal, 1, 0, AUDIT_ARCH_X86_64), (give, 0, 0, kill)]
    program += [(load, 0, 0, 0), (at_least, len(numbers) + 1, 0, 0x40000000)]
    for index, number in enumerate(numbers):
        program.append((equal, len(numbers) - index, 0, number))
    program += [(give, 0, 0, allow), (give, 0, 0, deny)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    described = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", PR_SET_SECCOMP, 2, described, 0, 0)


def set_limits(limits: dict[str, Any]) -> None:
    """Hard limits, which cannot be raised again."""
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
    ):
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))


def run(source: str, tests: list[str], report: tuple[int, str]) -> int:
    """Runs the program, then its tests; the exit code of the whole."""
    sys.argv = ["program"]
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        exec(compile(source, "program", "exec"), names)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    for index, test in enumerate(tests):
        try:
            exec(compile(test, f"test {index}", "exec"), dict(names))
        except BaseException:
            traceback.print_exc(limit=-1)
        else:
            os.write(report[0], f"{report[1]} {index}\n".encode())
    return 0


def main() -> None:
    """Gives up rights, then runs the program."""
    with open(0, "rb", closefd=False) as file:
        description = json.loads(file.read())
    control = description["control"]
    try:
        os.umask(0o077)
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if description["namespaces"]:
            enter_namespaces(description["folder"], description["limits"]["scratch_bytes"])
        os.chdir(description["folder"])
        given = os.memfd_create("stdin")
        with open(given, "wb", closefd=False) as file:
            file.write(description["stdin"].encode())
        os.lseek(given, 0, os.SEEK_SET)
        os.dup2(given, 0)
        os.close(given)
        set_limits(description["limits"])
        forbid_system_calls()
    except OSError as error:
        os.write(control, str(error).encode())
        os._exit(1)
    os.write(control, b"ready")
    os.close(control)
    code = 1
    try:
        code = run(description["source"], description["tests"], description["report"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
