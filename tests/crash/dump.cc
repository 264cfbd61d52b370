// SPDX-License-Identifier: BSD-3-Clause
#include "crash/dump.h"

#include <algorithm>
#include <xxhash.h>

namespace daxpin::crash {

namespace {

Error wrong(const std::string &path, const std::string &what) {
    return {Errc::corrupt, "dump of \"" + path + "\": " + what};
}

Result<Bytes> read_all(volume::Volume &volume, const volume::Attributes &attributes) {
    Bytes data;
    data.reserve(attributes.size);
    while (data.size() < attributes.size) {
        DAXPIN_TRY_ASSIGN(const auto reply, volume.read(attributes.number, 0, data.size(),
                                                        attributes.size - data.size()));
        if (reply.bytes == 0)
            return Error{Errc::corrupt, "a read before the end of the file gave nothing"};
        if (!copy_reply(volume, reply, data))
            return Errc::io;
    }
    return data;
}

// Where the whole cannot be read: what can, block by block.
Result<void> read_blocks(volume::Volume &volume, const volume::Attributes &attributes,
                         DumpFile &file) {
    for (std::uint64_t at = 0; at < attributes.size; at += block_size) {
        const auto reply = volume.read(attributes.number, 0, at, block_size);
        if (!reply && reply.code() != Errc::io)
            return reply.error();
        file.data.resize(at);
        if (reply && copy_reply(volume, *reply, file.data))
            continue;
        file.lost.insert(at / block_size);
        file.data.resize(at);
        file.data.resize(std::min(at + block_size, attributes.size));
    }
    return {};
}

class Dumper {
  public:
    explicit Dumper(volume::Volume &volume) : volume_(volume) {}

    Result<void> add(const std::string &path, InodeNumber number, unsigned type);
    Dump dump;

  private:
    Result<DumpFile> describe(const std::string &path, const volume::Attributes &attributes);
    Result<void> add_children(const std::string &path, InodeNumber directory);

    volume::Volume &volume_;
};

Result<DumpFile> Dumper::describe(const std::string &path, const volume::Attributes &attributes) {
    DumpFile file;
    file.attributes = attributes;
    file.attributes.block_count = 0;
    file.attributes.lease_boot = {};
    DAXPIN_TRY_ASSIGN(const auto names, volume_.list_xattrs(attributes.number));
    const volume::Caller caller{
        .uid = 0, .gid = 0, .umask = 0, .has_capability = [](int) { return true; }};
    for (const std::string &name : names) {
        DAXPIN_TRY_ASSIGN(auto value, volume_.get_xattr(caller, attributes.number, name));
        if (!file.xattrs.emplace(name, std::move(value)).second)
            return wrong(path, "attribute " + name + " is listed twice");
    }
    if (attributes.is_symlink()) {
        DAXPIN_TRY_ASSIGN(file.target, volume_.read_link(attributes.number));
    }
    if (!attributes.is_regular())
        return file;
    auto data = read_all(volume_, attributes);
    if (data)
        file.data = std::move(*data);
    else if (data.code() == Errc::io)
        DAXPIN_TRY(read_blocks(volume_, attributes, file));
    else
        return data.error();
    DAXPIN_TRY_ASSIGN(const auto status, volume_.pin_status(attributes.number));
    file.pinned_whole = status.whole;
    file.pinned_bytes = status.pinned_bytes;
    DAXPIN_TRY_ASSIGN(const auto extents, volume_.show_extents(attributes.number));
    for (const auto &extent : extents) {
        for (std::uint64_t done = 0; done < extent.length; done += block_size) {
            const auto block =
                MediaBlock::at(extent.device, (extent.device_offset + done) / block_size);
            if (!dump.data_blocks.insert(block.value).second)
                return wrong(path, "a block with two owners");
        }
    }
    return file;
}

Result<void> Dumper::add_children(const std::string &path, InodeNumber directory) {
    struct Child {
        std::string name;
        InodeNumber number;
        unsigned type;
    };
    std::vector<Child> children;
    DAXPIN_TRY(volume_.list(directory, 0, false, [&](const auto &entry, const auto *) {
        if (entry.name != "." && entry.name != "..")
            children.push_back({std::string(entry.name), entry.number, entry.type});
        return true;
    }));
    for (const Child &child : children) {
        const std::string child_path = path.empty() ? child.name : path + "/" + child.name;
        DAXPIN_TRY(add(child_path, child.number, child.type));
    }
    return {};
}

Result<void> Dumper::add(const std::string &path, InodeNumber number, unsigned type) {
    if (!dump.names.emplace(path, number.value).second)
        return wrong(path, "the name is listed twice");
    DAXPIN_TRY_ASSIGN(const auto attributes, volume_.attributes(number));
    if (attributes.mode >> 12 != type)
        return wrong(path, "the entry's type is not the inode's");
    if (dump.files.contains(number.value)) {
        if (attributes.is_directory())
            return wrong(path, "a directory with two names");
        return {};
    }
    DAXPIN_TRY_ASSIGN(auto file, describe(path, attributes));
    dump.files.emplace(number.value, std::move(file));
    if (attributes.is_directory())
        return add_children(path, number);
    return {};
}

// ---- comparison -------------------------------------------------------------------------------

std::string attribute_difference(const volume::Attributes &one, const volume::Attributes &other) {
    std::string text;
    const auto compare = [&](const char *name, auto a, auto b) {
        if (a != b && text.empty())
            text = std::string(name) + " " + std::to_string(a) + " against " + std::to_string(b);
    };
    compare("generation", one.generation, other.generation);
    compare("mode", one.mode, other.mode);
    compare("uid", one.uid, other.uid);
    compare("gid", one.gid, other.gid);
    compare("link count", one.link_count, other.link_count);
    compare("size", one.size, other.size);
    compare("atime", one.atime_ns, other.atime_ns);
    compare("mtime", one.mtime_ns, other.mtime_ns);
    compare("ctime", one.ctime_ns, other.ctime_ns);
    compare("btime", one.btime_ns, other.btime_ns);
    compare("rdev", one.rdev, other.rdev);
    compare("flags", one.flags, other.flags);
    compare("parent", one.parent.value, other.parent.value);
    compare("alignment hint", one.align_hint, other.align_hint);
    return text;
}

std::string data_difference(const Bytes &one, const Bytes &other) {
    if (one == other)
        return {};
    const auto at = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
    return "data at byte " + std::to_string(at.first - one.begin());
}

std::string first_name(const Dump &dump, std::uint64_t number) {
    for (const auto &[path, inode] : dump.names) {
        if (inode == number)
            return "\"" + path + "\"";
    }
    return "inode " + std::to_string(number);
}

} // namespace

bool copy_reply(volume::Volume &volume, const volume::ReadReply &reply, Bytes &data) {
    auto &devices = volume.devices();
    for (const auto &segment : reply.segments) {
        const std::size_t begin = data.size();
        data.insert(data.end(), segment.begin(), segment.end());
        for (unsigned i = 0; i < devices.count(); ++i) {
            const auto view = devices.at(i).view();
            if (segment.data() < view.data() || segment.data() >= view.data() + view.size())
                continue; // of another device, or zeros that stand for a hole
            const auto offset = static_cast<std::uint64_t>(segment.data() - view.data());
            if (!devices.at(i).read(offset, std::span(data).subspan(begin)))
                return false;
        }
    }
    return true;
}

std::string difference(const DumpFile &one, const DumpFile &other, bool data) {
    std::string text = attribute_difference(one.attributes, other.attributes);
    if (text.empty() && one.xattrs != other.xattrs)
        text = "extended attributes";
    if (text.empty() && one.target != other.target)
        text = "link target";
    if (text.empty() &&
        (one.pinned_whole != other.pinned_whole || one.pinned_bytes != other.pinned_bytes))
        text = "pinned bytes " + std::to_string(one.pinned_bytes) + " against " +
               std::to_string(other.pinned_bytes);
    if (text.empty() && data && one.lost != other.lost)
        text = "blocks that cannot be read";
    if (text.empty() && data)
        text = data_difference(one.data, other.data);
    return text;
}

Result<Dump> take_dump(volume::Volume &volume) {
    Dumper dumper(volume);
    DAXPIN_TRY(dumper.add("", InodeNumber{format::root_inode}, 004));
    return std::move(dumper.dump);
}

std::string difference(const Dump &one, const Dump &other, bool data) {
    for (const auto &[path, number] : one.names) {
        const auto found = other.names.find(path);
        if (found == other.names.end())
            return "\"" + path + "\" is there and should not be";
        if (found->second != number)
            return "\"" + path + "\" names inode " + std::to_string(number) + " against " +
                   std::to_string(found->second);
    }
    for (const auto &[path, number] : other.names) {
        if (!one.names.contains(path))
            return "\"" + path + "\" is missing";
    }
    for (const auto &[number, file] : one.files) {
        const std::string text = difference(file, other.files.at(number), data);
        if (!text.empty())
            return first_name(one, number) + ": " + text;
    }
    return {};
}

namespace {

class Hasher {
  public:
    void add(std::uint64_t number) { value_ = XXH3_64bits_withSeed(&number, 8, value_); }
    void add(const void *bytes, std::size_t size) {
        value_ = XXH3_64bits_withSeed(bytes, size, value_ + size);
    }
    void add(const std::string &text) { add(text.data(), text.size()); }
    void add(const Bytes &bytes) { add(bytes.data(), bytes.size()); }
    std::uint64_t value() const { return value_; }

  private:
    std::uint64_t value_ = 0;
};

void add(Hasher &hasher, const volume::Attributes &is) {
    for (const std::uint64_t value :
         {is.generation, std::uint64_t{is.mode}, std::uint64_t{is.uid}, std::uint64_t{is.gid},
          std::uint64_t{is.link_count}, is.size, static_cast<std::uint64_t>(is.atime_ns),
          static_cast<std::uint64_t>(is.mtime_ns), static_cast<std::uint64_t>(is.ctime_ns),
          static_cast<std::uint64_t>(is.btime_ns), std::uint64_t{is.rdev}, std::uint64_t{is.flags},
          is.parent.value, is.align_hint})
        hasher.add(value);
}

} // namespace

std::uint64_t hash_of(const Dump &dump, bool data) {
    Hasher hasher;
    for (const auto &[path, number] : dump.names) {
        hasher.add(path);
        hasher.add(number);
    }
    for (const auto &[number, file] : dump.files) {
        add(hasher, file.attributes);
        for (const auto &[name, value] : file.xattrs) {
            hasher.add(name);
            hasher.add(value);
        }
        hasher.add(file.target);
        hasher.add(std::uint64_t{file.pinned_whole});
        hasher.add(file.pinned_bytes);
        if (!data)
            continue;
        hasher.add(file.data);
        for (const std::uint64_t block : file.lost)
            hasher.add(block);
    }
    return hasher.value();
}

} // namespace daxpin::crash
