# SPDX-License-Identifier: MIT
"""The shared library, loaded through ctypes, works from threads that weft did not make.

Usage: test_ctypes.py LIBWEFT.SO

ctypes releases the interpreter's lock during a call, so these threads really wait inside the
library, and its callbacks run on threads that Python has never seen.
"""

import ctypes
import errno
import platform
import sys
import threading
import unittest
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_size_t
from ctypes import c_uint32, c_uint64, c_void_p

THREADS = 2
FOREVER = 2**63 - 1


class Deadline(Structure):
    _fields_ = [("ns", c_int64)]


class Lock(Structure):
    _fields_ = [("word", c_uint32), ("owner", c_uint32)]


class Event(Structure):
    _fields_ = [("word", c_uint32 * 2)]


class Semaphore(Structure):
    _fields_ = [("opaque", c_uint64 * 2)]


class Call(Structure):
    _fields_ = [
        ("arg", c_void_p),
        ("arg_bytes", c_size_t),
        ("pointer", c_void_p),
        ("ret", c_void_p),
        ("ret_bytes", c_size_t),
        ("context", c_void_p),
        ("context_bytes", c_size_t),
        ("worker", c_void_p),
        ("index", c_uint64),
        ("attempt", c_uint32),
    ]


Function = CFUNCTYPE(c_int, POINTER(Call))


def load(path):
    """Loads the library and says what its functions take and give."""
    weft = ctypes.CDLL(path)
    signatures = {
        "version": (c_char_p, []),
        "strerror": (c_char_p, [c_int]),
        "after": (Deadline, [c_int64]),
        "self_id": (c_uint64, []),
        "lock_lock": (None, [POINTER(Lock)]),
        "lock_acquire": (c_int, [POINTER(Lock), Deadline]),
        "lock_release": (c_int, [POINTER(Lock)]),
        "event_set": (None, [POINTER(Event)]),
        "event_wait": (c_int, [POINTER(Event), Deadline]),
        "semaphore_init": (None, [POINTER(Semaphore), c_uint32, c_uint32]),
        "semaphore_acquire": (c_int, [POINTER(Semaphore), Deadline]),
        "semaphore_release": (c_int, [POINTER(Semaphore), c_uint32]),
        "queue_open": (c_int, [POINTER(c_void_p), c_size_t, c_size_t, c_int]),
        "queue_put": (c_int, [c_void_p, c_void_p, Deadline]),
        "queue_get": (c_int, [c_void_p, c_void_p, Deadline]),
        "queue_shutdown": (None, [c_void_p, ctypes.c_bool]),
        "queue_close": (None, [c_void_p]),
        "group_open": (c_int, [POINTER(c_void_p), c_int, c_void_p]),
        "group_submit": (
            c_int,
            [c_void_p, Function, c_void_p, c_size_t, POINTER(c_void_p), Deadline],
        ),
        "group_join": (c_int, [c_void_p, Deadline]),
        "group_close": (None, [c_void_p]),
        "future_wait": (c_int, [c_void_p, Deadline]),
        "future_result": (c_void_p, [c_void_p, POINTER(c_size_t)]),
        "future_close": (None, [c_void_p]),
        "call_return": (c_int, [POINTER(Call), c_void_p, c_size_t]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(weft, "weft_" + name)
        function.restype = result
        function.argtypes = arguments
    return weft


def run(n, work):
    """Runs work(i) in n threads of Python's; the first exception is raised here."""
    failures = []

    def body(i):
        try:
            work(i)
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    return threads, failures


def join(threads, failures):
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class LibraryInPython(unittest.TestCase):
    weft = None
    forever = Deadline(FOREVER)
    now = Deadline(0)

    def test_it_loads_and_knows_itself(self):
        self.assertRegex(self.weft.weft_version(), rb"^\d+\.\d+\.\d+$")
        self.assertTrue(self.weft.weft_strerror(-errno.ECHILD))
        self.assertEqual(self.weft.weft_after(FOREVER).ns, FOREVER)

    def test_threads_of_pythons_have_ids_of_their_own(self):
        ids = []
        join(*run(8, lambda i: ids.append(self.weft.weft_self_id())))
        self.assertEqual(len(set(ids)), 8)
        self.assertNotIn(0, ids)

    def test_a_lock_excludes(self):
        lock, counter = Lock(), [0]

        def count(_):
            for _ in range(500):
                self.weft.weft_lock_lock(byref(lock))
                value = counter[0]
                counter[0] = value + 1
                self.assertEqual(self.weft.weft_lock_release(byref(lock)), 0)

        join(*run(4, count))
        self.assertEqual(counter[0], 2000)
        self.assertEqual(self.weft.weft_lock_release(byref(lock)), -errno.EPERM)

    def test_a_held_lock_is_refused_and_then_given(self):
        lock = Lock()
        self.assertEqual(self.weft.weft_lock_acquire(byref(lock), self.now), 0)
        self.assertEqual(self.weft.weft_lock_acquire(byref(lock), self.now), -errno.ETIMEDOUT)
        waiter = run(
            1,
            lambda i: self.assertEqual(self.weft.weft_lock_acquire(byref(lock), self.forever), 0),
        )
        self.assertEqual(self.weft.weft_lock_release(byref(lock)), 0)
        join(*waiter)

    def test_an_event_ends_waits_and_a_deadline_does(self):
        event = Event()
        soon = self.weft.weft_after(1000000)
        self.assertEqual(self.weft.weft_event_wait(byref(event), soon), -errno.ETIMEDOUT)
        waiters = run(
            4,
            lambda i: self.assertEqual(self.weft.weft_event_wait(byref(event), self.forever), 0),
        )
        self.weft.weft_event_set(byref(event))
        join(*waiters)

    def test_a_semaphore_gives_as_many_permits_as_it_got(self):
        semaphore = Semaphore()
        self.weft.weft_semaphore_init(byref(semaphore), 0, 0)
        waiters = run(
            5,
            lambda i: self.assertEqual(
                self.weft.weft_semaphore_acquire(byref(semaphore), self.forever), 0
            ),
        )
        self.assertEqual(self.weft.weft_semaphore_release(byref(semaphore), 6), 0)
        join(*waiters)
        self.assertEqual(self.weft.weft_semaphore_acquire(byref(semaphore), self.now), 0)
        self.assertEqual(
            self.weft.weft_semaphore_acquire(byref(semaphore), self.now), -errno.ETIMEDOUT
        )

    def test_a_queue_passes_items_on(self):
        queue, got = c_void_p(), []
        self.assertEqual(self.weft.weft_queue_open(byref(queue), 8, 3, 0), 0)

        def consume(_):
            item = c_int64()
            while self.weft.weft_queue_get(queue, byref(item), self.forever) == 0:
                got.append(item.value)

        consumers = run(2, consume)
        for number in range(200):
            item = c_int64(number)
            self.assertEqual(self.weft.weft_queue_put(queue, byref(item), self.forever), 0)
        self.weft.weft_queue_shutdown(queue, False)
        join(*consumers)
        self.assertEqual(sorted(got), list(range(200)))
        self.weft.weft_queue_close(queue)

    def test_a_group_of_threads_calls_back_into_python(self):
        @Function
        def square(call):
            number = c_int64.from_address(call.contents.arg).value
            result = c_int64(number * number)
            return self.weft.weft_call_return(call, byref(result), 8)

        group, futures = c_void_p(), []
        self.assertEqual(self.weft.weft_group_open(byref(group), THREADS, None), 0)
        for number in range(10):
            future, argument = c_void_p(), c_int64(number)
            rc = self.weft.weft_group_submit(
                group, square, byref(argument), 8, byref(future), self.forever
            )
            self.assertEqual(rc, 0)
            futures.append(future)
        self.assertEqual(self.weft.weft_group_join(group, self.forever), 0)
        for number, future in enumerate(futures):
            size = c_size_t()
            self.assertEqual(self.weft.weft_future_wait(future, self.now), 0)
            result = self.weft.weft_future_result(future, byref(size))
            self.assertEqual(size.value, 8)
            self.assertEqual(c_int64.from_address(result).value, number * number)
            self.weft.weft_future_close(future)
        self.weft.weft_group_close(group)


def foreign(path):
    """Why this interpreter cannot load the library, or None: it is for another machine or C library."""
    with open(path, "rb") as file:
        library = file.read()
    with open(sys.executable, "rb") as file:
        interpreter = file.read(20)
    if library[18:20] != interpreter[18:20]:
        return "the library is for another machine than this interpreter"
    if platform.libc_ver()[0] == "glibc" and b"\0libc.so\0" in library:
        return "the library stands on musl, this interpreter on glibc"
    return None


if __name__ == "__main__":
    reason = foreign(sys.argv[1])
    if reason:
        print(f"skip    {reason}")
        sys.exit(77)
    LibraryInPython.weft = load(sys.argv.pop(1))
    unittest.main()
