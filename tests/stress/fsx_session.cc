// SPDX-License-Identifier: BSD-3-Clause
#include "fsx_session.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace stress {
namespace {

constexpr std::size_t log_length = 50;
constexpr std::uint64_t check_interval = 100;

[[gnu::format(printf, 1, 2)]] std::string format(const char *text, ...) {
    std::array<char, 1024> line;
    va_list words;
    va_start(words, text);
    std::vsnprintf(line.data(), line.size(), text, words);
    va_end(words);
    return line.data();
}

std::string hex(std::span<const std::uint8_t> bytes) {
    std::string text;
    for (const auto byte : bytes.first(std::min<std::size_t>(bytes.size(), 16)))
        text += format(" %02x", byte);
    return text;
}

const std::string &made_empty(const std::string &path) {
    unlink(path.c_str());
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0)
        throw std::system_error(errno, std::generic_category(), path);
    close(descriptor);
    return path;
}

// Where the last byte that the order names ends.
std::uint64_t reach(const Order &order) {
    const auto bytes = order.kind == Kind::copy ? std::max(order.offset, order.target)
                                                : order.offset + order.target;
    return bytes + order.length;
}

bool is_unsupported(int error) {
    return error == EOPNOTSUPP || error == ENOSYS;
}

} // namespace

Session::Session(const FsxOptions &options, std::uint64_t seed, std::span<std::uint8_t> buffer,
                 Counts &counts)
    : options_(options), seed_(seed), buffer_(buffer), counts_(counts), model_(options.size_max),
      planner_(seed, model_, options.direct, options.pollute),
      own_(made_empty(options.file), options.size_max, buffer),
      helper_(options.file, options.size_max, buffer) {}

void Session::run() {
    for (std::uint64_t number = 1; number <= options_.operations; ++number) {
        step(planner_.next(number));
        if (number % check_interval == 0)
            check_all(number);
    }
    check_all(options_.operations);
    Hands fresh(options_.file, options_.size_max, buffer_);
    const Order order{.number = options_.operations, .kind = Kind::check};
    judge(order, fresh.execute(order));
}

void Session::check_all(std::uint64_t number) {
    for (std::uint32_t process = 0; process < 2; ++process)
        step(Order{.number = number, .kind = Kind::check, .process = process});
}

void Session::step(const Order &order) {
    if (options_.print_from != 0 && order.number >= options_.print_from)
        std::printf("%s\n", to_string(order).c_str());
    if (reach(order) > buffer_.size())
        throw std::logic_error("planned beyond the largest size: " + to_string(order));
    log_.push_back(order);
    if (log_.size() > log_length)
        log_.pop_front();
    prepare(order);
    Answer answer;
    try {
        answer = order.process == 0 ? own_.execute(order) : helper_.execute(order);
    } catch (const std::exception &error) {
        fail(order, error.what(), order.offset, order.length);
    }
    auto &count = counts_[static_cast<std::uint32_t>(order.kind)];
    if (answer.result < 0 && is_unsupported(answer.error)) {
        ++count.unsupported;
        return expect_size(order, answer);
    }
    ++count.done;
    if (answer.result < 0)
        fail(order, format("failed: %s", std::strerror(answer.error)), order.offset, order.length);
    judge(order, answer);
    apply(order);
    expect_size(order, answer);
}

// What is to be written goes into the buffer; before a read, bytes that no write writes.
void Session::prepare(const Order &order) {
    if (order.kind == Kind::write || order.kind == Kind::mapped_write)
        planner_.fill(buffer_.first(order.length + order.target));
    if (order.kind == Kind::read || order.kind == Kind::mapped_read)
        std::memset(buffer_.data(), 0xee, order.length);
}

void Session::judge(const Order &order, const Answer &answer) {
    switch (order.kind) {
    case Kind::read: {
        const auto end = std::min(order.offset + order.length, model_.size());
        const auto wanted = end > order.offset ? end - order.offset : 0;
        expect_result(order, answer, wanted);
        return expect_bytes(order, order.offset, wanted);
    }
    case Kind::mapped_read:
        return expect_bytes(order, order.offset, order.length);
    case Kind::write:
    case Kind::copy:
        return expect_result(order, answer, order.length);
    case Kind::seek:
        return judge_seek(order, answer);
    case Kind::check:
        expect_result(order, answer, model_.size());
        return expect_bytes(order, 0, model_.size());
    default:
        return;
    }
}

void Session::apply(const Order &order) {
    switch (order.kind) {
    case Kind::write:
    case Kind::mapped_write:
        return model_.write(order.offset, buffer_.first(order.length));
    case Kind::truncate:
        return model_.truncate(order.length);
    case Kind::punch:
    case Kind::zero:
        model_.zero(order.offset, order.length);
        [[fallthrough]];
    case Kind::allocate:
        return order.mode ? void() : model_.extend(order.offset + order.length);
    case Kind::copy:
        return model_.copy(order.offset, order.length, order.target);
    case Kind::collapse:
        return model_.collapse(order.offset, order.length);
    case Kind::insert:
        return model_.insert(order.offset, order.length);
    case Kind::reopen:
        return order.mode & O_TRUNC ? model_.truncate(0) : void();
    default:
        return;
    }
}

void Session::expect_result(const Order &order, const Answer &answer, std::uint64_t wanted) {
    if (static_cast<std::uint64_t>(answer.result) != wanted)
        fail(order, format("got 0x%lx bytes, expected 0x%lx", answer.result, wanted), order.offset,
             order.length);
}

// The buffer's first bytes against [offset, offset + length) of the model.
void Session::expect_bytes(const Order &order, std::uint64_t offset, std::uint64_t length) {
    const auto wanted = model_.bytes().subspan(offset, length);
    const auto got = buffer_.first(length);
    const auto first = std::mismatch(wanted.begin(), wanted.end(), got.begin()).first;
    if (first == wanted.end())
        return;
    const auto at = static_cast<std::uint64_t>(first - wanted.begin());
    std::uint64_t last = at;
    for (std::uint64_t i = at; i < length; ++i)
        last = wanted[i] != got[i] ? i : last;
    fail(order,
         format("offset 0x%lx, length 0x%lx (first to last byte that differs)\n  expected%s\n"
                "  got     %s",
                offset + at, last - at + 1, hex(wanted.subspan(at)).c_str(),
                hex(got.subspan(at)).c_str()),
         offset + at, last - at + 1);
}

// A hole may be reported as data, but never data as a hole.
void Session::judge_seek(const Order &order, const Answer &answer) {
    const auto size = static_cast<std::int64_t>(model_.size());
    const auto from = static_cast<std::int64_t>(order.offset);
    const auto told = format("SEEK_DATA %ld, SEEK_HOLE %ld, SEEK_DATA from there %ld; size %ld",
                             answer.data, answer.hole, answer.data_after_hole, size);
    const auto plausible = [&](std::int64_t start, std::int64_t found) {
        if (start >= size)
            return found == -ENXIO;
        return found == -ENXIO || (found >= start && found < size);
    };
    const bool hole_plausible =
        from >= size ? answer.hole == -ENXIO : answer.hole >= from && answer.hole <= size;
    const bool good = plausible(from, answer.data) && hole_plausible &&
                      (answer.hole < 0 || plausible(answer.hole, answer.data_after_hole));
    if (!good)
        fail(order, told, order.offset, model_.size());
    const auto expect_zero = [&](std::int64_t start, std::int64_t found) {
        const auto end = static_cast<std::uint64_t>(found < 0 ? size : found);
        if (start < size && !model_.is_zero(static_cast<std::uint64_t>(start), end))
            fail(order, "data told as a hole: " + told, static_cast<std::uint64_t>(start),
                 end - static_cast<std::uint64_t>(start));
    };
    expect_zero(from, answer.data);
    if (answer.hole >= 0)
        expect_zero(answer.hole, answer.data_after_hole);
}

void Session::expect_size(const Order &order, const Answer &answer) {
    const auto size = static_cast<std::uint64_t>(answer.size);
    if (size != model_.size())
        fail(order, format("the size is 0x%lx, expected 0x%lx", size, model_.size()),
             std::min(size, model_.size()), model_.size_max());
}

void Session::fail(const Order &order, const std::string &what, std::uint64_t offset,
                   std::uint64_t length) {
    std::string text =
        format("seed %lu, operation %lu: %s\n%s\nthe last %zu operations, * touched "
               "the range:\n",
               seed_, order.number, to_string(order).c_str(), what.c_str(), log_.size());
    for (const auto &past : log_)
        text += (touches(past, offset, length) ? "* " : "  ") + to_string(past) + "\n";
    text += format("replay: fsx --seed %lu --operations %lu --size-max %lu%s%s %s", seed_,
                   order.number, options_.size_max, options_.direct ? "" : " --no-direct",
                   options_.pollute ? " --pollute" : "", options_.file.c_str());
    throw Mismatch(text);
}

} // namespace stress
