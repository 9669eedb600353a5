# SPDX-License-Identifier: MIT
"""Shows gdb the tasks of a program that uses weft: `source weft.py`, then

    weft tasks                          all tasks: what each does, where, and until when
    weft backtrace TASK|all [OPTIONS]   where a task is; OPTIONS as gdb's own backtrace takes them

It reads the library's records by their debug information, and changes nothing in the program, so it
works on a live one and on a core file alike. x86-64 and aarch64; gdb 11 or newer.

A task's record is found through its stack: the slabs of src/task/stack.c know all stacks, and a stack
its user. A task that does not run has left what its caller keeps at the end of its stack, in the layout
that src/task/switch_*.S describe. For the time of a backtrace an unwinder says that the caller of the
innermost frame of the selected thread is where the task's saved registers are.
"""
import time

import gdb
import gdb.unwinder

WAITING = (1, 2)  # STRAND_WAITS and STRAND_WAITS_CANCELLABLE in src/park/strand.h

# By gdb's name of a machine: the stack pointer's and the program counter's names, the size of what lies
# at the end of a stack, and where in it the registers are.
LAYOUTS = {
    "i386:x86-64": ("rsp", "rip", 64, {
        "r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48, "rip": 56}),
    "aarch64": ("sp", "pc", 176, {
        **{f"x{i}": 8 * (i - 19) for i in range(19, 31)}, "pc": 88}),
}


def layout():
    machine = gdb.selected_inferior().architecture().name()
    if machine not in LAYOUTS:
        raise gdb.GdbError(f"weft has no tasks on this machine: {machine}")
    return LAYOUTS[machine]


def word(number):
    """A number as a register's value."""
    return gdb.Value(number).cast(gdb.lookup_type("unsigned long"))


def word_at(address):
    return gdb.Value(address).cast(gdb.lookup_type("unsigned long").pointer()).dereference()


# What the library knows of its tasks. A program may have variables and types of the same names, so what
# is looked up is looked up where the library's own source stands.

def place(name, file):
    """A static symbol of the library, by the end of its file's name."""
    for symbol in gdb.lookup_static_symbols(name):
        if symbol.symtab.filename.endswith(file):
            return symbol
    raise gdb.GdbError("There is no debug information for libweft here, or it is not loaded yet.")


def constant(name, near):
    symbol, _ = gdb.lookup_symbol(name, near.symtab.static_block())
    return int(symbol.value())


def record(name, near, address):
    kind = gdb.lookup_type("struct " + name, near.symtab.static_block())
    return gdb.Value(int(address)).cast(kind.pointer()).dereference()


def stacks_of(slab, near):
    colours, colour_bytes = constant("COLOURS", near), constant("COLOUR_BYTES", near)
    stack_bytes = gdb.lookup_type("struct stack", near.symtab.static_block()).sizeof
    base, size = int(slab["base"]), int(slab["size"]["bytes"])
    for i in range(int(slab["made"])):
        top = base + (i + 1) * size - i % colours * colour_bytes
        yield record("stack", near, top - stack_bytes)


def stacks():
    slabs = place("slabs", "task/stack.c")
    slab_type = gdb.lookup_type("struct slab", slabs.symtab.static_block())
    link_offset = slab_type["all"].bitpos // 8
    head = slabs.value()
    link = head["next"]
    while link != head.address:
        slab = record("slab", slabs, int(link) - link_offset)
        yield from stacks_of(slab, slabs)
        link = link["next"]


class Task:
    def __init__(self, record, stack):
        self.record = record
        self.low, self.top = int(stack["low"]), int(record["beside"])
        self.id = int(record["strand"]["id"])

    def name(self):
        """As weft_self_name() would make it."""
        strand = self.record["strand"]
        if strand["name"][0]:
            return strand["name"].string(errors="replace")
        if strand["family"]:
            return f"{strand['family'].string(errors='replace')}-{int(strand['number'])}"
        return f"strand-{self.id}"

    def state(self):
        if not self.record["started"]:
            return "waits"
        if self.record["worker"]["running"] == self.record.address:
            return "running"
        if not self.record["sp"]:
            return "ended"
        return "parked" if self.record["strand"]["decision"] & 7 in WAITING else "ready"

    def deadline_ns(self):
        """When its sleep ends at the latest; None: never, or it does not sleep."""
        is_set = self.state() == "parked" and self.record["timed"]
        return int(self.record["timer"]["at_ns"]) if is_set else None

    def thread(self):
        """The thread that stands on its stack, if there is one."""
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            if self.low <= int(gdb.newest_frame().read_register(layout()[0])) < self.top:
                return thread
        return None


def tasks():
    """All that have been started, in the order of their starts."""
    near = place("task_main", "task/worker.c")
    found = [Task(record("task", near, stack["user"]), stack) for stack in stacks() if stack["user"]]
    return sorted((task for task in found if task.id), key=lambda task: task.id)


def task_by(given):
    """By its number or by its name."""
    found = [task for task in tasks() if given in (str(task.id), task.name())]
    if not found:
        raise gdb.GdbError(f"There is no task {given}: weft tasks lists them.")
    return found[0]


# Where a task is.

class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class SleepingStack(gdb.unwinder.Unwinder):
    """While there is an `sp`: who called the innermost frame is where the stack that ends there goes on."""

    def __init__(self):
        super().__init__("weft")
        self.sp = None

    def __call__(self, pending):
        if self.sp is None or pending.level() != 0:
            return None
        stack_pointer, counter, size, registers = layout()
        # gdb wants callers to lie above what they call.
        innermost = FrameId(gdb.Value(self.sp - 16), pending.read_register(counter))
        info = pending.create_unwind_info(innermost)
        for register, offset in registers.items():
            info.add_saved_register(register, word_at(self.sp + offset))
        info.add_saved_register(stack_pointer, word(self.sp + size))
        return info


sleeping_stack = SleepingStack()
gdb.unwinder.register_unwinder(None, sleeping_stack, replace=True)


def lines_from(level, text):
    """A backtrace's lines from a frame of that level on."""
    lines = text.splitlines(keepends=True)
    for i, line in enumerate(lines):
        if line.startswith(f"#{level} "):
            return "".join(lines[i:])
    return text


def first_level():
    """Of the frames that do not belong to the innermost function, which may have been inlined."""
    frame = gdb.newest_frame()
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    return frame.level() + 1


def backtrace_of_sleeping(task, options):
    try:
        sleeping_stack.sp = int(task.record["sp"])
        gdb.invalidate_cached_frames()
        text = gdb.execute("backtrace " + options, to_string=True)
        return lines_from(first_level(), text)
    finally:
        sleeping_stack.sp = None
        gdb.invalidate_cached_frames()


def backtrace_of(task, options):
    state = task.state()
    if state == "waits":
        return "It has not begun.\n"
    if state == "ended":
        return "It has ended.\n"
    if state != "running":
        return backtrace_of_sleeping(task, options)
    if task.thread() is None:  # which also selects it
        return "It was just being switched to or from.\n"
    return gdb.execute("backtrace " + options, to_string=True)


# The commands.

class Restored:
    """Puts the selected thread and frame back."""

    def __enter__(self):
        self.thread, self.frame = gdb.selected_thread(), None
        if self.thread is None:
            raise gdb.GdbError("No program runs here, and there is no core file.")
        self.level = gdb.selected_frame().level()

    def __exit__(self, *_):
        self.thread.switch()
        gdb.execute(f"frame {self.level}", to_string=True)


def until(deadline_ns, now_ns):
    if deadline_ns is None:
        return ""
    if now_ns is None:
        return f"at {deadline_ns / 1e9:.3f} s"
    return f"in {(deadline_ns - now_ns) / 1e9:.3f} s"


def now_ns():
    """On the program's clock; None: it is a core file's, or another machine's."""
    connection = gdb.selected_inferior().connection
    if connection is None or connection.type != "native":
        return None
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Weft(gdb.Command):
    """Shows tasks of a program that uses weft."""

    def __init__(self):
        super().__init__("weft", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)


class Tasks(gdb.Command):
    """weft tasks: lists all tasks.

State: running; ready to go on; parked, until when if there is a deadline (on CLOCK_MONOTONIC, for a core
file); waits for its start; or ended, while somebody still holds its memory. Worker: where it runs."""

    def __init__(self):
        super().__init__("weft tasks", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, _argument, _from_tty):
        now = now_ns()
        print(f"{'id':>8}  {'state':8}{'worker':>6}  {'name':20}  deadline")
        for task in tasks():
            worker = int(task.record["worker"]["number"]) if task.record["started"] else ""
            line = (f"{task.id:8}  {task.state():8}{worker:>6}  {task.name():20}  "
                    f"{until(task.deadline_ns(), now)}")
            print(line.rstrip())


class Backtrace(gdb.Command):
    """weft backtrace TASK|all [OPTIONS]: shows where a task is.

TASK is a number or a name as "weft tasks" shows them. OPTIONS are those of the command backtrace, such
as -full. The frames of a task that does not run begin with number 1: gdb takes number 0 to be that of
the selected thread."""

    def __init__(self):
        super().__init__("weft backtrace", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        which, _, options = argument.strip().partition(" ")
        if not which:
            raise gdb.GdbError("Of which task? Its number or name, or all.")
        with Restored():
            for task in tasks() if which == "all" else [task_by(which)]:
                print(f"Task {task.id}, {task.name()}, {task.state()}:")
                print(backtrace_of(task, options))


Weft()
Tasks()
Backtrace()
