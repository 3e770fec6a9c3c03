"""A long-lived worker process and the line protocol spoken with it over its standard streams.

    driver                 worker
    prepare NAME           ready NAME {"params": …, "flops": …}    (inputs built, warmed up)
    time NAME K            ns NAME <total nanoseconds of K iterations>
    memory NAME            bytes NAME <peak extra resident bytes of one iteration>
    drop NAME              (no answer)
    quit                   (exits)

A name the worker does not have is answered `unknown NAME`, here `None`. Only the worker that was
asked computes; the other one waits in a read.
"""

import json
import os
import subprocess
import sys


class BenchError(Exception):
    """Something that stops the whole run; the message is for the user."""


class Worker:
    def __init__(self, label, command, threads, extra_env=None):
        self.label = label
        environment = dict(os.environ, **(extra_env or {}))
        for variable in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(threads)
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        except OSError as error:
            raise BenchError(f"cannot start {label} ({command[0]}): {error}") from error

    @property
    def pid(self):
        return self.process.pid

    def prepare(self, name):
        """Returns what the worker says about the row, or `None` if it does not have it."""
        answer = self._ask(f"prepare {name}", "ready", name)
        if answer is None:
            return None
        try:
            return json.loads(answer) if answer else {}
        except json.JSONDecodeError as error:
            raise BenchError(f"{self.label} described {name} as {answer!r}: {error}") from error

    def time(self, name, iterations):
        """Nanoseconds of one iteration, averaged over `iterations` of them."""
        answer = self._ask(f"time {name} {iterations}", "ns", name)
        if answer is None:
            raise BenchError(f"{self.label} prepared {name} and then did not know it")
        return self._integer(name, answer) / iterations

    def memory(self, name):
        """Peak extra resident bytes of one iteration, or `None` where it cannot be measured."""
        answer = self._ask(f"memory {name}", "bytes", name)
        return None if answer is None else self._integer(name, answer)

    def drop(self, name):
        self._send(f"drop {name}")

    def quit(self):
        if self.process.poll() is None:
            try:
                self._send("quit")
                self.process.wait(timeout=10)
            except (BenchError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()

    def _ask(self, request, word, name):
        self._send(request)
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise BenchError(f"{self.label} ended with code {code} at `{request}`")
        answer = line.strip().split(" ", 2)
        if answer[:2] == ["unknown", name]:
            return None
        if answer[:2] != [word, name]:
            raise BenchError(
                f"{self.label} answered `{request}` with {line.strip()!r}, "
                f"expected `{word} {name} …`"
            )
        return answer[2] if len(answer) == 3 else ""

    def _send(self, request):
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            code = self.process.wait()
            raise BenchError(f"{self.label} ended with code {code} before `{request}`") from error

    def _integer(self, name, answer):
        if not answer.isdigit():
            raise BenchError(
                f"{self.label} answered {answer!r} for {name}, expected a whole number"
            )
        return int(answer)


def build_ours():
    """Builds our worker in release mode and returns its command."""
    command = ["cargo", "build", "--release", "--workspace", "--bench", "peer"]
    command.append("--message-format=json-render-diagnostics")
    print("building ours: " + " ".join(command[:-1]), file=sys.stderr)
    try:
        built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise BenchError(f"cannot run cargo: {error}") from error
    if built.returncode != 0:
        raise BenchError("our bench program does not build (see above)")
    for line in built.stdout.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        named = message.get("target", {}).get("name")
        if message.get("executable") and named == "peer":
            return [message["executable"]]
    raise BenchError("cargo named no executable for the bench program `peer`")
