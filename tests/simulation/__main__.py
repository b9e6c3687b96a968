"""`python -m tests.simulation [--seconds N] [--seeds N] [--first SEED] [--processes N] [--trace]`: run seeds, tell what failed.

Each seed runs in a process of its own. It fails if a seed fails, and if something that a run is to try never happened in
all of them: a simulation that meets no fault proves nothing.
"""

import argparse
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count, islice
from math import inf

from tests.simulation.coverage import missing
from tests.simulation.run import Result, in_a_process, run

SECONDS = 60.0
TRACE_LINES = 60
FAULTS_SHOWN = 5
FAULT_CHARACTERS_MAX = 1_500
SEEDS_FOR_COVERAGE = 35  # the first 35 meet all that is wanted; with fewer, nobody is told what never happened


def result_of(seed: int) -> Result:
    """Run a seed in a process of its own, so that no run leaves anything to the next."""
    result = in_a_process(partial(run, seed), Result)
    return result or Result(seed, ["the process of this seed died; its traceback is above"], {}, "", [], 0.0, 0)


def results(seeds: Iterable[int], processes: int, ends_at: float) -> Iterator[Result]:
    """Yield the result of each seed in order; none is begun after the end."""
    begun: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(processes) as pool:
        for seed in seeds:
            begun.append(pool.submit(result_of, seed))
            if len(begun) > processes:
                yield begun.popleft().result()
            if time.monotonic() >= ends_at:
                break
        while begun:
            yield begun.popleft().result()


def show(result: Result, *, whole: bool) -> None:
    """Write what a run came to, and of one that failed the end of its trace."""
    line = f"seed {result.seed}: {result.steps} steps, {result.seconds:.0f} s of its time, digest {result.digest}"
    say(f"{line}, {'ok' if not result.faults else f'{len(result.faults)} FAULTS'}")
    if whole or result.faults:
        for trace in result.trace if whole else result.trace[-TRACE_LINES:]:
            say(f"  {trace}")
    for fault in result.faults[:FAULTS_SHOWN]:
        say(f"  !! {fault[:FAULT_CHARACTERS_MAX]}")
    if result.faults:
        say(f'  again, with the whole trace: make sim ARGS="--seeds 1 --first {result.seed} --trace"')


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, help=f"begin no seed after so long (without --seeds: {SECONDS:.0f})")
    parser.add_argument("--seeds", type=int, help="how many seeds at most")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--processes", type=int, default=2, help="how many run at once")
    parser.add_argument("--trace", action="store_true", help="show everything that happened")
    given = parser.parse_args()
    if given.seconds is None:
        given.seconds = SECONDS if given.seeds is None else inf
    return given


def main() -> int:
    """Return the exit code."""
    given = arguments()
    counts: Counter[str] = Counter()
    failed: list[int] = []
    began, played = time.monotonic(), 0
    seeds = islice(count(given.first), given.seeds)
    for result in results(seeds, given.processes, began + given.seconds):
        played += 1
        show(result, whole=given.trace)
        counts.update(result.counts)
        if result.faults:
            failed.append(result.seed)
    say("")
    for what in sorted(counts):
        say(f"{counts[what]:>8}  {what}")
    never = missing(counts) if played >= SEEDS_FOR_COVERAGE else []
    if never:
        say(f"never happened, so nothing is proved of it: {', '.join(never)}")
    say(f"{played} seeds from {given.first}, {len(failed)} failed {failed or ''}, {time.monotonic() - began:.0f} s")
    return 1 if failed or never else 0


if __name__ == "__main__":
    sys.exit(main())
