/* SPDX-License-Identifier: MIT */
/*
 * The word protocol of src/sync/lock.c: does a waiter sleep for ever?
 *
 * One lock, N strands that each take it ROUNDS times. Spin visits every state: two holders at once
 * is an assertion that fails, a strand that sleeps through a release an invalid end state.
 *
 * Memory is sequentially consistent but for the one thing that matters: a release by a plain store
 * stays in its CPU's buffer until a locked instruction of that strand, a fence, or the passing of
 * time drains it. What happens under the bucket's guard is one atomic step, which drains the buffer
 * of who makes it; the heavy fence drains everybody's. RUSH is shortened to RUSH_MAX, and a release
 * may hand over, or look at the queue although AWAKE is set, whenever it likes: time is not in it.
 *
 *   N, ROUNDS        how many strands, and how often each takes the lock
 *   TIMEOUTS         how many of the strands may give up waiting
 *   SPIN, HANDOFF    0: no spinners that set AWAKE; no hand-over
 *   LIGHT            0: no membarrier, both fences are full
 *   NO_HEAVY         broken on purpose: the waiter's fence, or its second look, is left out. Then
 *   NO_LOOK          a lost wake-up must be found
 */
#ifndef N
#define N 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1
#endif
#ifndef SPIN
#define SPIN 1
#endif
#ifndef HANDOFF
#define HANDOFF 1
#endif
#ifndef LIGHT
#define LIGHT 1
#endif
#ifndef RUSH_MAX
#define RUSH_MAX 1
#endif

/* The word, as its parts, packed: HELD 1, SWAPS 2, AWAKE 4, RUSH * 8. */
#define HELD 1
#define SWAPS 2
#define AWAKE 4
#define RUSH_ONE 8

byte word;        /* in memory */
bool buffered[N]; /* a plain store of 0 to word waits in this CPU's buffer */

/* The queue: order of coming; place 0 is the first. */
byte queue[N];
byte queued; /* how many */

bool woken[N];  /* the token has come */
bool handed[N]; /* and what it says */
byte holders;

#define DRAIN(me) \
    if \
    :: buffered[me] -> word = 0; buffered[me] = false \
    :: else \
    fi

/* What a strand sees: its own buffered store, else memory. */
#define SEEN(me) (buffered[me] -> 0 : word)

/* Takes strand out of the queue, keeps the order. Inside atomic. */
inline unqueue(s) {
    i = 0;
    do
    :: i < queued && queue[i] == s -> break
    :: else -> i++
    od;
    do
    :: i + 1 < queued -> queue[i] = queue[i + 1]; i++
    :: else -> break
    od;
    queued--;
    queue[queued] = 0;
    i = 0
}

/* park_nudge(wake_decide): one atomic step under the guard. */
inline nudge() {
    atomic {
        DRAIN(me);
        if
        :: queued > 0 ->
            s = queue[0];
            unqueue(s);
            word = word | AWAKE;
            handed[s] = false;
            woken[s] = true;
            s = 0
        :: else
        fi
    }
}

inline release() {
    d_step { w = SEEN(me); assert(w & HELD) }
    if
    :: (w & AWAKE) -> goto release_slow
    :: else -> skip
    fi;
    if
    :: queued > 0 -> goto release_slow
    :: else -> skip
    fi;
    if
    :: !(w & SWAPS) -> d_step { holders--; buffered[me] = true; w = 0 }
    :: else ->
        atomic {
            DRAIN(me);
            if
            :: word == w -> holders--; word = w & ~(HELD | SWAPS); w = 0
            :: else -> w = word; goto release_slow
            fi
        }
    fi;
#if !LIGHT
    atomic { DRAIN(me) }
#endif
    if
    :: queued > 0 -> nudge()
    :: else -> skip
    fi;
    goto released;

release_slow:
    atomic {
        /* either the compare and swap with AWAKE set, or the step under the guard */
        DRAIN(me);
        assert(word & HELD);
        holders--;
        if
        :: (w & AWAKE) && word == w -> word = word & ~(HELD | SWAPS)
        :: (w & AWAKE) && word != w -> holders++; w = word; goto release_slow
        :: true -> /* AWAKE is not set, or the first waiter is overdue */
            if
            :: queued > 0 ->
                s = queue[0];
                unqueue(s);
                if
                :: word = (word & ~(HELD | SWAPS)) | AWAKE | (RUSH_MAX * RUSH_ONE);
                   handed[s] = false
#if HANDOFF
                :: word = word | HELD | SWAPS | (RUSH_MAX * RUSH_ONE);
                   handed[s] = true; holders++
#endif
                fi;
                woken[s] = true;
                s = 0
            :: else -> word = word & ~(HELD | SWAPS)
            fi
        fi;
        w = 0
    }
released:
    skip
}

proctype strand(byte me)
{
    byte w, next, parked, s, i, rounds = ROUNDS;
    bool owns, waited, may_spin, gone;

again:
    /* take_free() */
    atomic {
        DRAIN(me);
        owns = false; waited = false; may_spin = SPIN; gone = false;
        if
        :: word == 0 -> word = HELD; goto critical
        :: else
        fi
    }
slow:
    atomic { w = SEEN(me) }
    if
    :: !(w & HELD) ->
        atomic {
            DRAIN(me);
            if
            :: word == w ->
                next = HELD | (owns -> 0 : w & AWAKE);
                if
                :: waited -> next = next | SWAPS | (RUSH_MAX * RUSH_ONE)
                :: !waited && w / RUSH_ONE -> next = next | SWAPS | ((w / RUSH_ONE - 1) * RUSH_ONE)
                :: else
                fi;
                word = next;
                next = 0; w = 0;
                goto critical
            :: else -> w = 0; goto slow
            fi
        }
    :: else -> waited = true
    fi;
    /* spin(): sets AWAKE if somebody is parked, then looks again */
    if
    :: may_spin && !owns && !(w & AWAKE) && queued > 0 ->
        atomic {
            DRAIN(me);
            may_spin = false;
            if
            :: word == w -> word = w | AWAKE; owns = true
            :: else
            fi;
            w = 0;
            goto slow
        }
    :: may_spin -> may_spin = false; goto slow
    :: true -> skip
    fi;
    /* park() */
    parked = w & ~(owns -> AWAKE : 0);
    if
    :: parked != w ->
        atomic {
            DRAIN(me);
            if
            :: word == w -> word = parked
            :: else -> w = 0; parked = 0; goto slow
            fi
        }
    :: else -> skip
    fi;
    atomic { /* enqueue(), under the guard */
        DRAIN(me);
        owns = false;
        w = 0;
        if
        :: word == parked -> queue[queued] = me; queued++; parked = 0
        :: else -> parked = 0; goto slow
        fi
    }
    /* look_again() */
#ifndef NO_LOOK
    atomic { w = SEEN(me) }
    if
    :: (w & (HELD | SWAPS)) == HELD ->
        atomic {
#if !LIGHT
            DRAIN(me);
#elif !defined(NO_HEAVY)
            i = 0;
            do
            :: i < N -> DRAIN(i); i++
            :: else -> i = 0; break
            od;
#endif
            w = SEEN(me)
        }
    :: else -> skip
    fi;
    if
    :: !(w & HELD) -> nudge()
    :: else -> skip
    fi;
#endif
    /* sleep, until the token or the deadline */
    atomic {
        w = 0;
        if
        :: woken[me] ->
            woken[me] = false;
            if
            :: handed[me] -> handed[me] = false; holders--; goto critical
            :: else -> owns = true; may_spin = SPIN; goto slow
            fi
#if TIMEOUTS
        :: !woken[me] && me < TIMEOUTS -> DRAIN(me); unqueue(me); gone = true; goto done
#endif
        fi
    }
critical:
    atomic { owns = false; holders++ -> assert(holders == 1) }
    release();
done:
    atomic {
        rounds--;
        if
        :: rounds > 0 -> goto again
        :: else -> skip
        fi
    }
}

/* Time drains every buffer in the end. */
active proctype time()
{
end:
    do
    :: d_step { buffered[0] -> word = 0; buffered[0] = false }
    :: d_step { buffered[1] -> word = 0; buffered[1] = false }
#if N > 2
    :: d_step { buffered[2] -> word = 0; buffered[2] = false }
#endif
    od
}

init
{
    atomic {
        byte n = 0;
        do
        :: n < N -> run strand(n); n++
        :: else -> break
        od
    }
}
