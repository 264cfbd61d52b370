// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/print.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

namespace daxpin::tool {

namespace {

using nlohmann::json;

std::optional<json> list;

void put(const json &value) {
    std::puts(value.dump(2, ' ', false, json::error_handler_t::replace).c_str());
}

} // namespace

void print_json(const json &value) {
    if (list)
        list->push_back(value);
    else
        put(value);
}

void begin_json_list() {
    list = json::array();
}

void end_json_list() {
    put(*list);
    list.reset();
}

} // namespace daxpin::tool
