// SPDX-License-Identifier: BSD-3-Clause
//
// Output: what the commands print, as text for people or as one JSON object for programs.
//
// Fields and tables come one after the other and go out as they come, so a table may have
// millions of rows. A table's columns are its rows' keys in JSON.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace daxpin::dump {

using Value = std::variant<std::uint64_t, std::int64_t, bool, std::string>;

struct Column {
    const char *name;
    int width; // of text; negative: to the left
};

class Output {
  public:
    virtual ~Output() = default; // ends the object
    virtual void field(const char *name, const Value &value) = 0;
    virtual void begin_table(const char *name, std::initializer_list<Column> columns) = 0;
    virtual void row(std::initializer_list<Value> values) = 0;
    virtual void end_table() = 0;
};

std::unique_ptr<Output> make_text_output();
std::unique_ptr<Output> make_json_output();

} // namespace daxpin::dump
