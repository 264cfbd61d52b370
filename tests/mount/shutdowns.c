/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into programs under test: every device counts DAXPIN_TEST_SHUTDOWNS unsafe shutdowns,
 * as an NVDIMM would.
 */
#include <stdint.h>
#include <stdlib.h>

int pmem2_source_device_usc(const void *source, uint64_t *count);

int pmem2_source_device_usc(const void *source, uint64_t *count) {
    const char *told = getenv("DAXPIN_TEST_SHUTDOWNS");
    (void)source;
    if (!told)
        return -1;
    *count = strtoull(told, NULL, 10);
    return 0;
}
