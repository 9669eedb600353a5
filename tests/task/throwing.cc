// SPDX-License-Identifier: MIT
#include "throwing.h"

#include <exception>

#include <weft/self.h>

int exceptions_alive(void)
{
    return std::uncaught_exceptions() + (std::current_exception() != nullptr);
}

int throw_and_park(int mine, int rounds)
{
    int wrong = 0;
    for (int i = 0; i < rounds; i++) {
        try {
            throw mine + i;
        } catch (int caught) {
            (void)weft_yield();
            wrong += caught != mine + i;
            try {
                throw;
            } catch (int again) {
                (void)weft_yield();
                wrong += again != mine + i;
            }
        }
    }
    return wrong;
}

namespace
{
struct parks {
    int &wrong;
    ~parks()
    {
        wrong += std::uncaught_exceptions() != 1;
        (void)weft_yield();
        wrong += std::uncaught_exceptions() != 1;
    }
};
} // namespace

int park_while_unwinding(int mine)
{
    int wrong = 0;
    try {
        parks guard{ wrong };
        throw mine;
    } catch (int caught) {
        wrong += caught != mine;
    }
    return wrong;
}

int rethrow_after(void (*fn)(void))
{
    try {
        try {
            throw 42;
        } catch (int) {
            fn();
            throw;
        }
    } catch (int caught) {
        return caught == 42;
    }
    return 0;
}
