/* SPDX-License-Identifier: MIT */
/* gil-embed N: drops CPython's GIL and takes it again, as its modules do around a system call. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "harness/harness.h"

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    Py_InitializeEx(0);
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++)
        PyEval_RestoreThread(PyEval_SaveThread());
    printf("{\"ns\": %.4f}\n", (double)(bench_now() - start) / (double)n);
    return Py_FinalizeEx() < 0;
}
