// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/output.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace daxpin::dump {
namespace {

std::string json_of(const Value &value) {
    const auto json = std::visit([](const auto &held) { return nlohmann::json(held); }, value);
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class JsonOutput : public Output {
  public:
    JsonOutput() { std::putchar('{'); }
    ~JsonOutput() override { std::fputs("\n}\n", stdout); }

    void field(const char *name, const Value &value) override {
        next(first_field_, "\n  ");
        std::printf("\"%s\": %s", name, json_of(value).c_str());
    }

    void begin_table(const char *name, std::initializer_list<Column> columns) override {
        columns_ = columns;
        next(first_field_, "\n  ");
        std::printf("\"%s\": [", name);
        first_row_ = true;
    }

    void row(std::initializer_list<Value> values) override {
        next(first_row_, "\n    ");
        auto column = columns_.begin();
        bool first = true;
        std::putchar('{');
        for (const auto &value : values) {
            next(first, first ? "" : " ");
            std::printf("\"%s\": %s", column->name, json_of(value).c_str());
            ++column;
        }
        std::putchar('}');
    }

    void end_table() override { std::putchar(']'); }

  private:
    static void next(bool &first, const char *gap) {
        if (!first)
            std::putchar(',');
        std::fputs(gap, stdout);
        first = false;
    }

    std::vector<Column> columns_;
    bool first_field_ = true;
    bool first_row_ = true;
};

} // namespace

std::unique_ptr<Output> make_json_output() {
    return std::make_unique<JsonOutput>();
}

} // namespace daxpin::dump
