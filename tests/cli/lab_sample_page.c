/* SPDX-License-Identifier: MIT */
/* Writes the sample results as a page and as JSON, for tests with a browser:
 * `lab_sample_page PAGE JSON`. */
#include <errno.h>
#include <stdio.h>

#include "lab/page.h"
#include "lab/results_json.h"

#include "lab_sample.h"

static int write_json(const struct lab_results *results, const char *path)
{
    FILE *to = fopen(path, "we");

    if (to == NULL)
        return -errno;
    int rc = lab_json_write(results, to);
    return fclose(to) == 0 ? rc : -EIO;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: lab_sample_page PAGE JSON\n");
        return 2;
    }
    struct lab_results results = lab_sample();
    int rc = lab_page_write(&results, argv[1]);
    if (rc == 0)
        rc = write_json(&results, argv[2]);
    if (rc < 0)
        fprintf(stderr, "lab_sample_page: %s\n", weft_strerror(rc));
    lab_results_release(&results);
    return rc < 0;
}
