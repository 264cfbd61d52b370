// SPDX-License-Identifier: BSD-3-Clause
#include "fsstress.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace stress {
namespace {

constexpr std::size_t log_length = 20;

std::uint16_t check_of(std::uint64_t upper) {
    return static_cast<std::uint16_t>(Random(upper).next() | 1);
}

// What a path may answer while others rename and remove its parts: a name that is gone, a file
// where a directory was, a ring of symbolic links.
const std::vector<int> path_errors = {ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG};

std::vector<Action> make_actions() {
    using A = Actor;
    std::vector<Action> made = {
        {"create", 14, &A::create, {EEXIST, EISDIR, ENXIO, EACCES, ENOSPC}},
        {"mkdir", 10, &A::make_directory, {EEXIST, ENOSPC, EMLINK}},
        {"mknod", 2, &A::make_node, {EEXIST, ENOSPC, EPERM}},
        {"symlink", 3, &A::make_symlink, {EEXIST, ENOSPC}},
        {"link", 4, &A::make_link, {EEXIST, EPERM, EMLINK, ENOSPC}},
        {"rename", 8, &A::rename_any, {EEXIST, ENOTEMPTY, EISDIR, EINVAL, ENOSPC, EMLINK}},
        {"exchange", 4, &A::rename_exchange, {EINVAL, ENOSPC, EMLINK}},
        {"noreplace", 4, &A::rename_noreplace, {EEXIST, EINVAL, ENOSPC, EMLINK}},
        {"whiteout",
         1,
         &A::rename_whiteout,
         {EEXIST, ENOTEMPTY, EISDIR, EINVAL, ENOSPC, EMLINK, EPERM}},
        {"unlink", 8, &A::remove_file, {EISDIR}},
        {"rmdir", 3, &A::remove_directory, {ENOTEMPTY, EEXIST}},
        {"readlink", 2, &A::read_link, {EINVAL}},
        {"readdir", 4, &A::list_directory, {}},
        {"chmod", 3, &A::change_mode, {EPERM}},
        {"chown", 2, &A::change_owner, {EPERM}},
        {"utimens", 2, &A::change_times, {EPERM}},
        {"setxattr", 4, &A::set_attribute, {EPERM, EEXIST, ENODATA, ENOSPC, E2BIG}},
        {"removexattr", 2, &A::remove_attribute, {EPERM, ENODATA}},
        {"listxattr", 2, &A::list_attributes, {EPERM, ENODATA, ERANGE}},
        {"stat", 4, &A::stat_any, {}},
        {"write", 12, &A::write_data, {ENOSPC}},
        {"append", 4, &A::append_data, {ENOSPC}},
        {"read", 12, &A::read_data, {}},
        {"truncate", 5, &A::truncate_file, {ENOSPC}},
        {"allocate", 3, &A::allocate, {ENOSPC}},
        {"punch", 3, &A::punch, {ENOSPC}},
        {"zero", 3, &A::zero_range, {ENOSPC}},
        {"copy", 4, &A::copy_range, {ENOSPC, EINVAL}},
        {"sync", 2, &A::sync_file, {}},
        {"map", 4, &A::map_file, {}},
        {"seek", 2, &A::seek_file, {ENXIO}},
        {"unlinked", 3, &A::unlinked_file, {ENOSPC}},
        {"tmpfile", 1, &A::nameless_file, {ENOSPC, EEXIST, EISDIR}},
        {"hold", 2, &A::hold_file, {}},
    };
    // Opening one of these by a name that somebody gave to something else.
    for (auto &action : made) {
        action.allowed.insert(action.allowed.end(), path_errors.begin(), path_errors.end());
        if (geteuid() != 0)
            action.allowed.insert(action.allowed.end(), {EACCES, EPERM});
    }
    return made;
}

} // namespace

std::string format(const char *text, ...) {
    std::array<char, 1024> line;
    va_list words;
    va_start(words, text);
    std::vsnprintf(line.data(), line.size(), text, words);
    va_end(words);
    return line.data();
}

// inode (24 bits), salt (24 bits), check (16 bits, odd, so that no word is zero).
std::uint64_t make_word(ino_t inode, std::uint32_t salt) {
    const std::uint64_t upper = (inode & 0xffffff) << 24 | (salt & 0xffffff);
    return upper << 16 | check_of(upper);
}

bool is_valid_word(std::uint64_t word) {
    return word == 0 || (word & 0xffff) == check_of(word >> 16);
}

bool names_inode(std::uint64_t word, ino_t inode) {
    return word == 0 || word >> 40 == (inode & 0xffffff);
}

std::span<const Action> actions() {
    static const std::vector<Action> made = make_actions();
    return made;
}

Actor::Actor(std::uint64_t seed, unsigned process, Tally &tally, bool verbose)
    : random_(seed * 1000 + process), process_(process), own_data_only_(seed % 2 == 0),
      tally_(tally), verbose_(verbose), words_(file_size_max / sizeof(std::uint64_t)) {}

Actor::~Actor() {
    for (const auto &file : held_)
        if (file.descriptor >= 0)
            close(file.descriptor);
}

void Actor::run(std::uint64_t operations) {
    for (std::uint64_t number = 1; number <= operations; ++number) {
        try {
            step(number);
        } catch (const std::exception &error) {
            std::string text = format("process %u, operation %lu:%s: %s\nbefore it:\n", process_,
                                      number, what_.c_str(), error.what());
            for (const auto &line : log_)
                text += "  " + line + "\n";
            throw Violation(text);
        }
    }
}

const Action &Actor::choose() {
    unsigned sum = 0;
    for (const auto &action : actions())
        sum += action.weight;
    auto ticket = random_.below(sum);
    for (const auto &action : actions()) {
        if (ticket < action.weight)
            return action;
        ticket -= action.weight;
    }
    return actions().front();
}

void Actor::step(std::uint64_t number) {
    const auto &action = choose();
    what_ = std::string(" ") + action.name;
    const int error = (this->*action.perform)();
    const auto line =
        format("%6lu%s: %s", number, what_.c_str(), error ? std::strerror(error) : "done");
    if (verbose_)
        std::printf("p%u %s\n", process_, line.c_str());
    log_.push_back(line);
    if (log_.size() > log_length)
        log_.pop_front();
    auto &count = tally_.actions[static_cast<std::size_t>(&action - actions().data())];
    if (error == 0)
        ++count.done;
    else if (error == EOPNOTSUPP || error == ENOSYS)
        ++count.unsupported;
    else if (std::ranges::count(action.allowed, error) != 0)
        ++count.refused;
    else
        throw Violation(format("must not fail with %s", std::strerror(error)));
}

// Up to two levels of three directories each.
std::string Actor::folder() {
    std::string path;
    for (auto depth = random_.below(3); depth > 0; --depth)
        path += format("d%lu/", random_.below(3));
    return path.empty() ? "./" : path;
}

// Of something new that is no directory; only rename puts such a thing where one may be looked for.
std::string Actor::file_name() {
    auto path = folder() + format("f%02lu", random_.below(12));
    note(path);
    return path;
}

std::string Actor::name() {
    auto path = folder() + (random_.one_in(5) ? format("d%lu", random_.below(3))
                                              : format("f%02lu", random_.below(12)));
    note(path);
    return path;
}

// Mostly something in the tree; never anything outside.
std::string Actor::link_target() {
    if (random_.one_in(8))
        return std::string(1 + random_.below(2000), 'x');
    return folder() + format("f%02lu", random_.below(12));
}

void Actor::check_words(const File &file, std::uint64_t offset,
                        std::span<const std::uint64_t> words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto at = offset + i * sizeof(std::uint64_t);
        if (!is_valid_word(words[i]))
            throw Violation(
                format("inode %lu, offset 0x%lx: nobody wrote 0x%016lx", file.inode, at, words[i]));
        if (own_data_only_ && !names_inode(words[i], file.inode))
            throw Violation(format("inode %lu (0x%lx), offset 0x%lx: 0x%016lx was written to "
                                   "another file",
                                   file.inode, file.inode, at, words[i]));
    }
}

std::span<const std::uint64_t> Actor::fresh_words(const File &file, std::uint64_t count) {
    const auto salt = static_cast<std::uint32_t>(random_.next());
    for (std::uint64_t i = 0; i < count; ++i)
        words_[i] = make_word(file.inode, salt + static_cast<std::uint32_t>(i));
    return std::span(words_).first(count);
}

} // namespace stress
