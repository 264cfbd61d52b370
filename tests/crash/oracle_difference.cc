// SPDX-License-Identifier: BSD-3-Clause
//
// Oracle, comparison of what should be there with what is.
#include "crash/oracle.h"

#include <algorithm>

namespace daxpin::crash {

namespace {

std::uint32_t link_count(const OracleFile &file) {
    if (!file.is_directory())
        return file.names;
    const auto is_directory = [](const auto &entry) { return entry.second->is_directory(); };
    return 2 + static_cast<std::uint32_t>(
                   std::count_if(file.entries.begin(), file.entries.end(), is_directory));
}

std::uint64_t size_of(const OracleFile &file) {
    if (file.is_directory())
        return file.entries.size();
    return file.mode >> 12 == 012 ? file.target.size() : file.data.size();
}

std::map<std::string, Bytes> all_xattrs(const OracleFile &file) {
    auto all = file.xattrs;
    for (const auto &[name, list] : file.lists)
        all.emplace(name, list.bytes());
    return all;
}

// As a dump has it: zeros where a block is lost.
Bytes readable_data(const OracleFile &file) {
    Bytes data = file.data;
    for (const std::uint64_t block : file.lost) {
        const auto begin = data.begin() + static_cast<std::ptrdiff_t>(block * block_size);
        std::fill_n(begin, std::min<std::ptrdiff_t>(block_size, data.end() - begin), std::byte{0});
    }
    return data;
}

// The first difference of what both know about one file.
std::string file_difference(const OracleFile &file, const DumpFile &found, bool data) {
    const volume::Attributes &is = found.attributes;
    std::string text;
    const auto compare = [&](const char *name, std::uint64_t a, std::uint64_t b) {
        if (a != b && text.empty())
            text =
                std::string(name) + " is " + std::to_string(a) + ", expected " + std::to_string(b);
    };
    compare("mode", is.mode, file.mode);
    compare("uid", is.uid, file.uid);
    compare("gid", is.gid, file.gid);
    compare("rdev", is.rdev, file.rdev);
    compare("link count", is.link_count, link_count(file));
    compare("size", is.size, size_of(file));
    compare("flags", is.flags & ~format::inode_flag_pinned_whole, file.flags);
    compare("alignment hint", is.align_hint, file.align_hint);
    compare("pinned bytes", found.pinned_bytes, file.pinned.size() * block_size);
    compare("pinned whole", found.pinned_whole, file.pinned_whole);
    if (file.atime_ns)
        compare("atime", static_cast<std::uint64_t>(is.atime_ns),
                static_cast<std::uint64_t>(*file.atime_ns));
    if (file.mtime_ns)
        compare("mtime", static_cast<std::uint64_t>(is.mtime_ns),
                static_cast<std::uint64_t>(*file.mtime_ns));
    if (text.empty() && found.target != file.target)
        text = "link target";
    if (text.empty() && found.xattrs != all_xattrs(file))
        text = "extended attributes";
    if (text.empty() && data && found.lost != file.lost)
        text = "blocks that cannot be read";
    const Bytes readable = readable_data(file);
    if (text.empty() && data && found.data != readable)
        text = "data at byte " + std::to_string(std::mismatch(found.data.begin(), found.data.end(),
                                                              readable.begin(), readable.end())
                                                    .first -
                                                found.data.begin());
    return text;
}

} // namespace

std::string Oracle::compare(const std::string &path, const OracleFile &file, const Dump &dump,
                            bool data, std::map<const OracleFile *, std::uint64_t> &numbers) const {
    const auto name = dump.names.find(path);
    if (name == dump.names.end())
        return "\"" + path + "\" is missing";
    const auto [known, is_new] = numbers.emplace(&file, name->second);
    if (known->second != name->second)
        return "\"" + path + "\" is not the inode of its other names";
    if (!is_new)
        return {};
    const std::string text = file_difference(file, dump.files.at(name->second), data);
    if (!text.empty())
        return "\"" + path + "\": " + text;
    for (const auto &[child, entry] : file.entries) {
        auto below =
            compare(path.empty() ? child : path + "/" + child, *entry, dump, data, numbers);
        if (!below.empty())
            return below;
    }
    return {};
}

const Bytes *Oracle::data(const std::string &path) const {
    const File file = find(path);
    return file ? &file->data : nullptr;
}

std::string Oracle::difference(const Dump &dump, bool data) const {
    std::map<const OracleFile *, std::uint64_t> numbers;
    std::string text = compare("", *root_, dump, data, numbers);
    if (text.empty() && numbers.size() != dump.files.size())
        text = std::to_string(dump.files.size()) + " files, expected " +
               std::to_string(numbers.size());
    std::size_t names = 1;
    for (const auto &[file, number] : numbers)
        names += file->entries.size();
    if (text.empty() && names != dump.names.size())
        text = std::to_string(dump.names.size()) + " names, expected " + std::to_string(names);
    return text;
}

} // namespace daxpin::crash
