# SPDX-License-Identifier: MIT
"""python.py MS ANSWER: round trips by one thread beside one that computes, under CPython's GIL.

The same work as gil-weft echo; ANSWER is that program, which answers. Prints the round trips a
second, and what the computing thread keeps of its speed alone.
"""

import socket
import subprocess
import sys
import threading
import time

MESSAGE = 64


class Work:
    def __init__(self, end):
        self.end = end
        self.stop = False
        self.rounds = self.trips = 0

    def compute(self):
        n = 0
        while not self.stop:
            n += 1
        self.rounds = n

    def make_trips(self):
        n, message = 0, b"e" * MESSAGE
        while not self.stop:
            self.end.sendall(message)
            self.end.recv(MESSAGE, socket.MSG_WAITALL)
            n += 1
        self.trips = n

    def together(self, parts, seconds):
        """How much is computed in a second."""
        self.stop = False
        threads = [threading.Thread(target=part) for part in parts]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stop = True
        took = time.perf_counter() - start
        for thread in threads:
            thread.join()
        return self.rounds / took


def main():
    seconds, program = int(sys.argv[1]) / 1000, sys.argv[2]
    ours, theirs = socket.socketpair()
    with subprocess.Popen([program, "answer", str(theirs.fileno())],
                          pass_fds=[theirs.fileno()]) as child:
        theirs.close()
        work = Work(ours)
        alone = work.together([work.compute], seconds)
        beside = work.together([work.compute, work.make_trips], seconds)
        ours.close()
        child.wait()
    print(f'{{"trips": {work.trips / seconds:.1f}, "kept": {beside / alone:.4f}}}')


main()
