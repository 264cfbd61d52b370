// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/print.h"

#include <cstdio>

namespace daxpin::tool {

namespace {

bool in_list = false;
const char *before = ""; // what stands before the next of the list

} // namespace

void print_json(const std::string &document) {
    if (in_list)
        std::fputs(before, stdout);
    before = ",\n";
    std::fputs(document.c_str(), stdout);
    if (!in_list)
        std::fputs("\n", stdout);
}

void begin_json_list() {
    in_list = true;
    before = "";
    std::fputs("[\n", stdout);
}

void end_json_list() {
    std::fputs("\n]\n", stdout);
    in_list = false;
}

} // namespace daxpin::tool
