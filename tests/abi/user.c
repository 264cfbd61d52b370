/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of somebody else's, built against the installed library. */
#include <daxpin/daxpin.h>

#include <errno.h>
#include <string.h>

int main(void) {
    struct daxpin_map *map = NULL;
    struct daxpin_map_info info;
    struct daxpin_file_status status;
    size_t count = 1;
    int local = 0;

    if (daxpin_err_to_errno(daxpin_map_new(&map, -1, 0, 0, 0)) != EBADF || map != NULL)
        return 1;
    if (strlen(daxpin_errormsg()) == 0)
        return 2;
    if (daxpin_err_to_errno(daxpin_status(0, &status)) == 0)
        return 3;
    memset(&info, -1, sizeof(info));
    if (daxpin_query(&local, sizeof(local), &info, &count) != 0 || count != 1)
        return 4;
    if (strcmp(info.path, "[stack]") != 0 || info.domain != DAXPIN_GRANULARITY_NONE)
        return 5;
    for (count = 0; count < sizeof(info.reserved) / sizeof(info.reserved[0]); ++count)
        if (info.reserved[count] != 0)
            return 6;
    return daxpin_map_delete(&map);
}
