"""Signals of a training reach the training alone, and its process ends all the same."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def test_python_ends_though_a_forked_worker_is_deaf_to_sigterm() -> None:
    """At its end Python sends SIGTERM to daemonic children and waits for them for ever (multiprocessing.util)."""
    program = """
        import multiprocessing, time
        from experiments.runs.interruption import Interruption
        interruption = Interruption()
        interruption.listen()
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        def wait():
            ready.set()
            while True:
                time.sleep(1)
        worker = context.Process(target=wait, daemon=True)
        worker.start()
        assert ready.wait(60)
        interruption.close()
        worker.terminate()
        worker.join(1)
        print(worker.is_alive())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
