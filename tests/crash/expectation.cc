// SPDX-License-Identifier: BSD-3-Clause
#include "crash/expectation.h"

#include "crash/usability.h"

#include <algorithm>
#include <cstring>

namespace daxpin::crash {

namespace {

const Bytes &data_of(const Dump &dump, std::uint64_t number) {
    static const Bytes none;
    const auto file = dump.files.find(number);
    return file == dump.files.end() ? none : file->second.data;
}

// A block that was lost before and is not now has what was written, and a block is lost only if it
// was, before or after.
bool lost_blocks_are_old_or_new(const DumpFile &found, const DumpFile &before,
                                const DumpFile &after) {
    const auto was_lost = [&](std::uint64_t block) {
        return before.lost.contains(block) || after.lost.contains(block);
    };
    const auto is_new = [&](std::uint64_t block) {
        const std::size_t begin = block * block_size;
        const std::size_t end = std::min<std::size_t>(begin + block_size, found.data.size());
        return found.lost.contains(block) ||
               (end <= after.data.size() &&
                (begin >= end ||
                 std::memcmp(&found.data[begin], &after.data[begin], end - begin) == 0));
    };
    return std::ranges::all_of(found.lost, was_lost) && std::ranges::all_of(before.lost, is_new);
}

bool data_is_mixture(const Dump &found, const Dump &before, const Dump &after) {
    return std::ranges::all_of(found.files, [&](const auto &entry) {
        const auto &[number, file] = entry;
        const auto was = before.files.find(number), is = after.files.find(number);
        if (was != before.files.end() && is != after.files.end() &&
            !lost_blocks_are_old_or_new(file, was->second, is->second))
            return false;
        return is_mixture(file.data, {&data_of(before, number), &data_of(after, number)});
    });
}

} // namespace

bool writes_in_place(Op op) {
    return op == Op::write || op == Op::append || op == Op::copy || op == Op::mapped_write ||
           op == Op::fallocate;
}

bool is_mixture(const Bytes &found, const std::vector<const Bytes *> &candidates) {
    const auto in_some = [&](std::size_t at, std::size_t length) {
        return std::ranges::any_of(candidates, [&](const Bytes *bytes) {
            return at + length <= bytes->size() &&
                   std::memcmp(&found[at], bytes->data() + at, length) == 0;
        });
    };
    const auto in_all = [&](std::size_t end) {
        return std::ranges::all_of(candidates,
                                   [&](const Bytes *bytes) { return end <= bytes->size(); });
    };
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (!in_some(i, 1))
            return false;
        const bool whole_word = i % 8 == 0 && i + 8 <= found.size() && in_all(i + 8);
        if (whole_word && !in_some(i, 8))
            return false;
    }
    return true;
}

std::string Expectation::use(volume::Volume &volume, const Dump &dump, const Position &) {
    return try_every_directory(volume, dump);
}

Expectation::Match StepsExpectation::match(const Dump &found, const Position &position) {
    const Dump &before = recording_.dumps[position.before];
    const Dump &after = recording_.dumps[position.after];
    const auto legal = [&](std::size_t index, bool is_exact) -> Match {
        return {{}, index, recording_.paths[index], is_exact};
    };
    const std::string not_after = difference(found, after);
    if (not_after.empty())
        return legal(position.after, true);
    if (position.acknowledged())
        return {"an acknowledged state is gone: " + not_after};
    const std::string not_before = difference(found, before);
    if (not_before.empty())
        return legal(position.before, true);
    if (writes_in_place(recording_.steps[position.before].operation.op)) {
        for (const std::size_t index : {position.after, position.before}) {
            if (difference(found, recording_.dumps[index], false).empty() &&
                data_is_mixture(found, before, after))
                return legal(index, false);
        }
    }
    return {"neither before (" + not_before + ") nor after (" + not_after + ") the operation"};
}

void StepsExpectation::reach(Session &session, std::size_t outcome) const {
    for (std::size_t i = 0; i < outcome; ++i)
        session.run(session.steps()[i].operation);
}

} // namespace daxpin::crash
