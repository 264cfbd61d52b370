// SPDX-License-Identifier: BSD-3-Clause
//
// Short forms for tests that work on a volume.
#pragma once

#include "support/catch.h"
#include "support/volume_fixture.h"

#include <string>
#include <sys/stat.h>
#include <vector>

namespace daxpin::test {

inline constexpr InodeNumber root_dir{format::root_inode};

inline volume::Caller root_caller() {
    volume::Caller caller;
    caller.has_capability = [](int) { return true; };
    return caller;
}

inline volume::Caller user_caller(std::uint32_t uid) {
    volume::Caller caller;
    caller.uid = caller.gid = uid;
    return caller;
}

inline volume::NewNode node(std::uint32_t mode) {
    volume::NewNode made;
    made.mode = mode;
    return made;
}

// The value of a Result that the test takes for granted.
template <typename T> T must(Result<T> result) {
    if (!result)
        FAIL("unexpected error: " << describe(result.error()));
    return *std::move(result);
}
inline void must(Result<void> result) {
    if (!result)
        FAIL("unexpected error: " << describe(result.error()));
}

template <typename T> bool fails(const Result<T> &result, Errc code) {
    return !result && result.code() == code;
}

inline InodeNumber make_node(volume::Volume &volume, InodeNumber parent, std::string_view name,
                             std::uint32_t mode) {
    return must(volume.make_node(root_caller(), parent, name, node(mode))).number;
}
inline InodeNumber make_file(volume::Volume &volume, InodeNumber parent, std::string_view name) {
    return make_node(volume, parent, name, S_IFREG | 0644);
}
inline InodeNumber make_dir(volume::Volume &volume, InodeNumber parent, std::string_view name) {
    return make_node(volume, parent, name, S_IFDIR | 0755);
}

// Lookups that leave no reference behind.
inline Result<inode::Attributes> peek(volume::Volume &volume, InodeNumber parent,
                                      std::string_view name) {
    auto found = volume.lookup(parent, name);
    if (found)
        volume.forget(found->number, 1);
    return found;
}
inline bool is_there(volume::Volume &volume, InodeNumber parent, std::string_view name) {
    return peek(volume, parent, name).has_value();
}
inline inode::Attributes stat_of(volume::Volume &volume, InodeNumber number) {
    return must(volume.attributes(number));
}

inline void unlink(volume::Volume &volume, InodeNumber parent, std::string_view name) {
    must(volume.unlink(root_caller(), parent, name));
}
inline void rename(volume::Volume &volume, InodeNumber from, std::string_view from_name,
                   InodeNumber to, std::string_view to_name,
                   volume::RenameMode mode = volume::RenameMode::plain) {
    must(volume.rename(root_caller(), from, from_name, to, to_name, mode));
}

inline std::vector<std::string> names_in(volume::Volume &volume, InodeNumber directory) {
    std::vector<std::string> names;
    must(volume.list(directory, 2, false, [&](const volume::ListedEntry &entry, const auto *) {
        names.emplace_back(entry.name);
        return true;
    }));
    std::sort(names.begin(), names.end());
    return names;
}

inline void finish_background(volume::Volume &volume) {
    while (must(volume.background_step()))
        ;
}

} // namespace daxpin::test
