"""Processes that encrypt or open batches beside this one, each on a core of its own.

A worker is a fresh interpreter, never a fork: gRPC's threads would not survive one. It reads its recipe and then
batches from standard input, so that keys stand on no command line, and ends when that closes, also when this process
dies.
"""

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO

from fedstats.errors import Failed, ProtocolRefused
from fedstats.privacy.paillier_tasks import Recipe, Task

_LENGTH_BYTES = 8
#: How an answer begins: with what became of the batch, or with why it was refused.
_DONE, _REFUSED = b"+", b"-"
#: Batches under way for every worker: one at work, one waiting.
_AHEAD = 2


class Workers:
    """Up to `count` worker processes for one recipe, started when there is work and kept until `close`."""

    def __init__(self, recipe: Recipe, count: int) -> None:
        self._recipe = recipe
        self._count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="paillier")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __call__(self, batches: Iterable[bytes]) -> Iterator[bytes]:
        """What becomes of each batch, in order; a few are under way while earlier ones are taken.

        Raises
        ------
        Failed
            WORKER_ENDED: a worker process is gone; the next batch starts another.
        ProtocolRefused
        Whatever the task refuses.
        """
        under_way: deque[Future[bytes]] = deque()
        for batch in batches:
            under_way.append(self._threads.submit(self._do, batch))
            if len(under_way) >= _AHEAD * self._count:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def processes(self) -> "list[subprocess.Popen[bytes]]":
        """The workers that were started."""
        with self._lock:
            return list(self._processes)

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            for process in self._processes:
                _end(process)

    def _do(self, batch: bytes) -> bytes:
        process = self._process()
        source, sink = _pipes(process)
        try:
            _write(sink, batch)
            answer = _read(source)
        except (OSError, EOFError):
            raise Failed("a process that encrypts or decrypts ended.", code="WORKER_ENDED") from None
        if answer[:1] == _REFUSED:
            raise ProtocolRefused(**json.loads(answer[1:]))
        return answer[1:]

    def _process(self) -> "subprocess.Popen[bytes]":
        """The worker of this thread."""
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            process = self._own.process = _start(self._recipe)
            with self._lock:
                self._processes.append(process)
        return process


class InProcess:
    """The same in this process, a batch at a time."""

    def __init__(self, recipe: Recipe) -> None:
        self._task = recipe.make()

    def __call__(self, batches: Iterable[bytes]) -> Iterator[bytes]:
        """What becomes of each batch, in order."""
        return map(self._task, batches)

    def close(self) -> None:
        """Nothing is left behind."""


def _start(recipe: Recipe) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "fedstats.privacy.paillier_workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C in the terminal is for the process that asks
    )
    try:
        _write(_pipes(process)[1], json.dumps({"task": recipe.task, "numbers": recipe.numbers}).encode())
    except OSError:
        raise Failed("a process that encrypts or decrypts did not start.", code="WORKER_ENDED") from None
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    source, sink = _pipes(process)
    sink.close()
    source.close()
    process.wait()


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    if process.stdout is None or process.stdin is None:
        raise Failed("a worker has no pipes", code="WORKER_ENDED")
    return process.stdout, process.stdin


def _write(sink: IO[bytes], data: bytes) -> None:
    sink.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    sink.flush()


def _read(source: IO[bytes]) -> bytes:
    """One message.

    Raises
    ------
    EOFError
        The other side is gone.
    """
    length = int.from_bytes(_exactly(source, _LENGTH_BYTES), "big")
    return _exactly(source, length)


def _exactly(source: IO[bytes], count: int) -> bytes:
    data = source.read(count)
    if len(data) != count:
        raise EOFError
    return data


def main(source: IO[bytes], sink: IO[bytes]) -> None:
    """Do a worker's work until the other side closes."""
    recipe = json.loads(_read(source))
    task = Recipe(recipe["task"], tuple(recipe["numbers"])).make()
    while True:
        try:
            batch = _read(source)
        except EOFError:
            return
        _write(sink, _answer(task, batch))


def _answer(task: Task, batch: bytes) -> bytes:
    try:
        return _DONE + task(batch)
    except ProtocolRefused as refused:
        return _REFUSED + json.dumps({"message": refused.message, "code": refused.code}).encode()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
