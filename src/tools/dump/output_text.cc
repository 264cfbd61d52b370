// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/output.h"

#include <cstdio>

namespace daxpin::dump {
namespace {

std::string text_of(const Value &value) {
    if (const auto *text = std::get_if<std::string>(&value))
        return *text;
    if (const auto *flag = std::get_if<bool>(&value))
        return *flag ? "yes" : "no";
    if (const auto *number = std::get_if<std::int64_t>(&value))
        return std::to_string(*number);
    return std::to_string(std::get<std::uint64_t>(value));
}

class TextOutput : public Output {
  public:
    void field(const char *name, const Value &value) override {
        std::printf("%-24s %s\n", name, text_of(value).c_str());
    }

    void begin_table(const char *name, std::initializer_list<Column> columns) override {
        columns_ = columns;
        std::printf("\n%s:\n", name);
        const char *gap = "";
        for (const auto &column : columns_) {
            std::printf("%s%*s", gap, column.width, column.name);
            gap = "  ";
        }
        std::putchar('\n');
    }

    void row(std::initializer_list<Value> values) override {
        auto column = columns_.begin();
        const char *gap = "";
        for (const auto &value : values) {
            std::printf("%s%*s", gap, column->width, text_of(value).c_str());
            gap = "  ";
            ++column;
        }
        std::putchar('\n');
    }

    void end_table() override {}

  private:
    std::vector<Column> columns_;
};

} // namespace

std::unique_ptr<Output> make_text_output() {
    return std::make_unique<TextOutput>();
}

} // namespace daxpin::dump
