// SPDX-License-Identifier: BSD-3-Clause
#include "faults/walk.h"

#include "crash/executor.h"

namespace daxpin::faults {

namespace {

using crash::Dump;
using crash::DumpFile;

class Walker {
  public:
    Walker(volume::Volume &volume, const Dump &expected, const std::set<std::uint64_t> &may_fail)
        : volume_(volume), expected_(expected), may_fail_(may_fail) {}

    std::string run() {
        for (const auto &[path, number] : expected_.names)
            if (!path.empty())
                look_up(path, number);
        for (const auto &[number, file] : expected_.files) {
            visit(number, file);
            if (file.attributes.is_directory())
                list(number);
        }
        return problem_;
    }

  private:
    void problem(const std::string &where, const std::string &what) {
        if (problem_.empty())
            problem_ = where + ": " + what;
    }

    // The value, if the question was answered; else notes the error.
    template <typename T> T *answer(Result<T> &result, const std::string &what,
                                    std::initializer_list<std::uint64_t> inodes) {
        if (result)
            return &*result;
        volume_.note_failure(result.error());
        const bool allowed = is_damage(result.code());
        bool concerned = false;
        for (const std::uint64_t inode : inodes)
            concerned = concerned || may_fail_.contains(inode);
        if (!allowed || !concerned)
            problem(what, describe(result.error()));
        return nullptr;
    }

    void look_up(const std::string &path, std::uint64_t number) {
        const std::size_t slash = path.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
        const std::uint64_t directory = expected_.names.at(parent);
        auto found = volume_.lookup(InodeNumber{directory}, path.substr(slash + 1));
        const auto *attributes = answer(found, "lookup of " + path, {directory, number});
        if (!attributes)
            return;
        if (attributes->number.value != number)
            problem("lookup of " + path,
                    "leads to inode " + std::to_string(attributes->number.value));
        volume_.forget(attributes->number, 1);
    }

    void visit(std::uint64_t number, const DumpFile &expected) {
        const InodeNumber inode{number};
        const std::string name = "inode " + std::to_string(number);
        DumpFile found = expected;
        auto attributes = volume_.attributes(inode);
        if (const auto *is = answer(attributes, name + ": attributes", {number})) {
            found.attributes = *is;
            found.attributes.block_count = 0;
            found.attributes.lease_boot = {};
        }
        auto names = volume_.list_xattrs(inode);
        if (const auto *is = answer(names, name + ": list of attributes", {number}))
            read_xattrs(inode, *is, found);
        if (expected.attributes.is_symlink()) {
            auto target = volume_.read_link(inode);
            if (const auto *is = answer(target, name + ": target", {number}))
                found.target = *is;
        }
        if (expected.attributes.is_regular())
            read_content(inode, found);
        if (const std::string text = difference(found, expected, true); !text.empty())
            problem(name, text);
    }

    void read_xattrs(InodeNumber inode, const std::vector<std::string> &names, DumpFile &found) {
        std::map<std::string, crash::Bytes> values;
        for (const std::string &name : names) {
            auto value = volume_.get_xattr(crash::superuser(), inode, name);
            const std::string what = "inode " + std::to_string(inode.value) + ": " + name;
            if (const auto *is = answer(value, what, {inode.value}))
                values.emplace(name, *is);
            else if (found.xattrs.contains(name))
                values.emplace(name, found.xattrs.at(name));
        }
        found.xattrs = std::move(values);
    }

    void read_content(InodeNumber inode, DumpFile &found) {
        const std::uint64_t size = found.attributes.size;
        const std::string name = "inode " + std::to_string(inode.value);
        crash::Bytes data;
        while (data.size() < size) {
            auto reply = volume_.read(inode, 0, data.size(), size - data.size());
            const auto *is = answer(reply, name + ": data", {inode.value});
            if (!is)
                break;
            if (is->bytes == 0)
                return problem(name, "a read before the end of the file gave nothing");
            for (const auto &segment : is->segments)
                data.insert(data.end(), segment.begin(), segment.end());
        }
        if (data.size() >= size)
            found.data = std::move(data);
        auto status = volume_.pin_status(inode);
        if (const auto *is = answer(status, name + ": pins", {inode.value})) {
            found.pinned_whole = is->whole;
            found.pinned_bytes = is->pinned_bytes;
        }
        auto extents = volume_.show_extents(inode);
        answer(extents, name + ": extents", {inode.value});
    }

    // With and without attributes: names that are listed must be those there are.
    void list(std::uint64_t number) {
        std::map<std::string, std::uint64_t> expected;
        const std::string directory = first_path(number);
        for (const auto &[path, inode] : expected_.names) {
            const std::size_t slash = path.rfind('/');
            const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
            if (!path.empty() && parent == directory)
                expected.emplace(path.substr(slash + 1), inode);
        }
        for (const bool plus : {false, true}) {
            std::map<std::string, std::uint64_t> found;
            std::vector<InodeNumber> looked_up;
            auto listed = volume_.list(
                InodeNumber{number}, 0, plus,
                [&](const volume::ListedEntry &entry, const volume::Attributes *attributes) {
                    if (entry.name == "." || entry.name == "..")
                        return true;
                    found.emplace(entry.name, entry.number.value);
                    if (attributes)
                        looked_up.push_back(entry.number);
                    return true;
                });
            for (const InodeNumber inode : looked_up)
                volume_.forget(inode, 1);
            check_listing(number, plus, listed, found, expected);
        }
    }

    void check_listing(std::uint64_t number, bool plus, Result<void> &listed,
                       const std::map<std::string, std::uint64_t> &found,
                       const std::map<std::string, std::uint64_t> &expected) {
        const std::string what =
            "list of inode " + std::to_string(number) + (plus ? " with attributes" : "");
        for (const auto &[name, inode] : found)
            if (!expected.contains(name) || expected.at(name) != inode)
                problem(what, name + " is wrong");
        if (listed) {
            if (found.size() != expected.size())
                problem(what, "names are missing");
            return;
        }
        volume_.note_failure(listed.error());
        if (!is_damage(listed.code()) || !may_fail_.contains(number))
            problem(what, describe(listed.error()));
    }

    std::string first_path(std::uint64_t number) const {
        for (const auto &[path, inode] : expected_.names)
            if (inode == number)
                return path;
        return {};
    }

    volume::Volume &volume_;
    const Dump &expected_;
    const std::set<std::uint64_t> &may_fail_;
    std::string problem_;
};

} // namespace

std::string walk(volume::Volume &volume, const Dump &expected,
                 const std::set<std::uint64_t> &may_fail) {
    return Walker(volume, expected, may_fail).run();
}

} // namespace daxpin::faults
