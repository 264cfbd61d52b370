// SPDX-License-Identifier: BSD-3-Clause
#include "crash/oracle.h"

#include <algorithm>

namespace daxpin::crash {

using volume::FallocateMode;
using volume::RenameMode;

namespace {

constexpr std::uint32_t type_bits = 0170000;

void set_mode(OracleFile &file, std::uint32_t permissions) {
    file.mode = (file.mode & type_bits) | permissions;
    if (const auto list = file.lists.find(access_list); list != file.lists.end())
        list->second.set_mode(permissions);
}

void set_list(OracleFile &file, const std::string &name, AccessList list) {
    file.lists.insert_or_assign(name, list);
    if (name == access_list)
        file.mode = (file.mode & ~0777U) | list.mode();
}

// What a new file gets from the directory it is made in.
void inherit(OracleFile &file, const OracleFile &directory) {
    const bool is_regular = (file.mode & type_bits) == 0100000;
    if (file.is_directory() || is_regular) {
        file.flags = directory.flags & format::inode_flag_dax;
        file.align_hint = directory.align_hint;
    }
    const auto list = directory.lists.find(default_list);
    if (list == directory.lists.end() || (file.mode & type_bits) == 0120000)
        return;
    set_list(file, access_list, list->second.restricted_by(file.mode));
    if (file.is_directory())
        set_list(file, default_list, list->second);
}

} // namespace

Oracle::Oracle() : root_(std::make_shared<OracleFile>()) {
    root_->mode = 040755;
    root_->names = 1;
}

namespace {

using File = std::shared_ptr<OracleFile>;

File copy_of(const File &file, std::map<const OracleFile *, File> &copies) {
    File &copy = copies[file.get()];
    if (!copy && file) {
        copy = std::make_shared<OracleFile>(*file);
        for (auto &[name, entry] : copy->entries)
            entry = copy_of(entry, copies);
    }
    return copy;
}

} // namespace

Oracle::Oracle(const Oracle &other) {
    std::map<const OracleFile *, File> copies;
    root_ = copy_of(other.root_, copies);
    for (const auto &[name, file] : other.slots_)
        slots_[name] = copy_of(file, copies);
}

Oracle &Oracle::operator=(const Oracle &other) {
    *this = Oracle(other);
    return *this;
}

Oracle::File Oracle::find(const std::string &path) const {
    File file = root_;
    std::size_t begin = 0;
    if (path.starts_with('@')) {
        const std::size_t end = std::min(path.find('/'), path.size());
        file = slots_.at(path.substr(1, end - 1));
        begin = end + 1;
    }
    while (begin < path.size() && file) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const auto entry = file->entries.find(path.substr(begin, end - begin));
        file = entry == file->entries.end() ? nullptr : entry->second;
        begin = end + 1;
    }
    return file;
}

Oracle::Place Oracle::place(const std::string &path) const {
    const std::size_t slash = path.rfind('/');
    const bool below = slash != std::string::npos;
    const File directory = below ? find(path.substr(0, slash)) : root_;
    const std::string name = below ? path.substr(slash + 1) : path;
    if (!directory || directory->names == 0)
        return {};
    const auto entry = directory->entries.find(name);
    return {directory.get(), name, entry == directory->entries.end() ? nullptr : entry->second};
}

std::string Oracle::apply(const Operation &operation, const Result<std::uint64_t> &outcome) {
    if (!outcome && outcome.code() == Errc::no_space)
        return {};
    const auto expected = perform(operation, outcome ? *outcome : operation.length);
    if (expected.has_value() != outcome.has_value() ||
        (!outcome && outcome.code() != expected.code()))
        return describe(operation) + " gave " +
               (outcome ? "success" : daxpin::describe(outcome.error())) + ", expected " +
               (expected ? "success" : daxpin::describe(expected.error()));
    return {};
}

Result<void> Oracle::perform(const Operation &operation, std::uint64_t count) {
    switch (operation.op) {
    case Op::create:
    case Op::mkdir:
    case Op::mknod:
    case Op::symlink:
    case Op::link:
        return make(operation);
    case Op::unlink:
    case Op::rmdir:
        return remove(operation);
    case Op::rename:
        return rename(operation);
    case Op::write:
    case Op::append:
    case Op::mapped_write:
    case Op::copy:
    case Op::fallocate:
        return change_data(operation, count);
    case Op::open:
        slots_[operation.other] = find(operation.path);
        return {};
    case Op::close:
        if (const auto file = slots_.extract(operation.other); file && file.mapped())
            file.mapped()->write_leases.erase(operation.other);
        return {};
    case Op::open_unnamed:
        slots_[operation.other] = std::make_shared<OracleFile>();
        slots_[operation.other]->mode = static_cast<std::uint32_t>(operation.value);
        slots_[operation.other]->linkable = true;
        inherit(*slots_[operation.other], *find(operation.path));
        return {};
    case Op::remount:
    case Op::checkpoint:
    case Op::background:
        return {};
    default:
        return change(operation);
    }
}

std::optional<std::uint64_t> Oracle::size_of(const std::string &path) const {
    const File file = find(path);
    return file ? std::optional<std::uint64_t>(file->data.size()) : std::nullopt;
}

bool Oracle::is_directory(const std::string &path) const {
    const File file = find(path);
    return file && file->is_directory();
}

std::vector<std::string> Oracle::children(const std::string &path) const {
    std::vector<std::string> names;
    if (const File file = find(path)) {
        for (const auto &[name, entry] : file->entries)
            names.push_back(name);
    }
    return names;
}

// ---- names ------------------------------------------------------------------------------------

Result<void> Oracle::make(const Operation &operation) {
    const bool is_link = operation.op == Op::link;
    const Place to = place(is_link ? operation.other : operation.path);
    if (!to.directory)
        return Errc::not_found;
    if (to.file)
        return Errc::exists;
    File file = is_link ? find(operation.path) : std::make_shared<OracleFile>();
    if (!file)
        return Errc::not_found;
    if (is_link && file->is_directory())
        return Errc::not_permitted;
    if (is_link && file->names == 0 && !file->linkable)
        return Errc::not_found;
    if (!is_link) {
        file->mode = static_cast<std::uint32_t>(operation.value);
        file->rdev = static_cast<std::uint32_t>(operation.offset);
    }
    if (operation.op == Op::symlink) {
        file->mode = 0120777;
        file->target = operation.other;
    }
    if (!is_link)
        inherit(*file, *to.directory);
    file->linkable = false;
    ++file->names;
    to.directory->entries[to.name] = file;
    return {};
}

Result<void> Oracle::remove(const Operation &operation) {
    const Place from = place(operation.path);
    if (!from.file)
        return Errc::not_found;
    if (operation.op == Op::unlink && from.file->is_directory())
        return Errc::is_directory;
    if (operation.op == Op::rmdir && !from.file->is_directory())
        return Errc::not_directory;
    if (!from.file->entries.empty())
        return Errc::not_empty;
    if (!from.file->pinned.empty() && from.file->names == 1)
        return Errc::not_permitted;
    --from.file->names;
    from.directory->entries.erase(from.name);
    return {};
}

namespace {

// Whether `file` is `ancestor` or lies below it.
bool is_below(const OracleFile &file, const OracleFile &ancestor) {
    return &file == &ancestor || std::ranges::any_of(ancestor.entries, [&](const auto &entry) {
        return is_below(file, *entry.second);
    });
}

} // namespace

Result<void> Oracle::rename(const Operation &operation) {
    const auto mode = static_cast<RenameMode>(operation.value);
    const Place from = place(operation.path);
    const Place to = place(operation.other);
    if (!from.file || !to.directory)
        return Errc::not_found;
    if (mode == RenameMode::no_replace && to.file)
        return Errc::exists;
    if (mode == RenameMode::exchange && !to.file)
        return Errc::not_found;
    if (is_below(*to.directory, *from.file) ||
        (mode == RenameMode::exchange && is_below(*from.directory, *to.file)))
        return Errc::invalid;
    if (mode == RenameMode::exchange) {
        from.directory->entries[from.name] = to.file;
        to.directory->entries[to.name] = from.file;
        return {};
    }
    if (from.file == to.file)
        return {};
    if (to.file) {
        if (to.file->is_directory() != from.file->is_directory())
            return to.file->is_directory() ? Errc::is_directory : Errc::not_directory;
        if (!to.file->entries.empty())
            return Errc::not_empty;
        if (!to.file->pinned.empty() && to.file->names == 1)
            return Errc::not_permitted;
        --to.file->names;
    }
    to.directory->entries[to.name] = from.file;
    from.directory->entries.erase(from.name);
    if (mode == RenameMode::whiteout) {
        auto whiteout = std::make_shared<OracleFile>();
        whiteout->mode = 0020000;
        whiteout->names = 1;
        from.directory->entries[from.name] = whiteout;
    }
    return {};
}

// ---- attributes -------------------------------------------------------------------------------

namespace {

void pin_blocks(OracleFile &file, std::uint64_t offset, std::uint64_t length, bool pinned) {
    const bool whole = offset == 0 && length == 0;
    const std::uint64_t end = whole ? file.data.size() : offset + length;
    for (std::uint64_t block = offset / block_size; block * block_size < end; ++block) {
        if (pinned)
            file.pinned.insert(block);
        else
            file.pinned.erase(block);
    }
    if (whole && !pinned)
        file.pinned.clear();
    file.pinned_whole = pinned ? file.pinned_whole || whole : false;
}

// What PIN, UNPIN and LEASE ask of a file and a range.
Result<void> check_range(const OracleFile &file, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end_max = (file.data.size() + block_size - 1) / block_size * block_size;
    if (file.names == 0 || file.data.empty() || offset + length > end_max)
        return Errc::invalid;
    return {};
}

Result<void> check_size(const OracleFile &file, std::uint64_t size) {
    if (size == file.data.size())
        return {};
    const bool cuts = size < file.data.size();
    const bool cuts_pin =
        cuts && !file.pinned.empty() && *file.pinned.rbegin() * block_size >= size;
    if (file.pinned_whole || cuts_pin || (cuts && !file.write_leases.empty()))
        return Errc::pinned;
    return {};
}

Result<void> set_xattr(OracleFile &file, const Operation &operation) {
    const bool there = file.xattrs.contains(operation.other);
    const auto mode = static_cast<inode::XattrMode>(operation.value);
    if (mode == inode::XattrMode::create && there)
        return Errc::exists;
    if (mode == inode::XattrMode::replace && !there)
        return Errc::no_attribute;
    file.xattrs[operation.other] = content(operation.version, 0, operation.length);
    return {};
}

Result<void> remove_xattr(OracleFile &file, const std::string &name) {
    if (file.lists.erase(name) == 0 && file.xattrs.erase(name) == 0)
        return Errc::no_attribute;
    return {};
}

} // namespace

Result<void> Oracle::change(const Operation &operation) {
    const File file = find(operation.path);
    if (!file)
        return Errc::not_found;
    switch (operation.op) {
    case Op::truncate:
    case Op::open_truncate:
        if (auto allowed = check_size(*file, operation.length); !allowed)
            return allowed;
        file->data.resize(operation.length);
        break;
    case Op::extend:
        file->data.resize(operation.length);
        if (!file->pinned.empty())
            pin_blocks(*file, 0, file->data.size(), true);
        break;
    case Op::chmod:
        set_mode(*file, static_cast<std::uint32_t>(operation.value));
        break;
    case Op::chown:
        file->uid = static_cast<std::uint32_t>(operation.offset);
        file->gid = static_cast<std::uint32_t>(operation.length);
        break;
    case Op::utimens:
        file->atime_ns = static_cast<std::int64_t>(operation.offset);
        file->mtime_ns = static_cast<std::int64_t>(operation.length);
        break;
    case Op::set_xattr:
        return set_xattr(*file, operation);
    case Op::set_list:
        set_list(*file, operation.other, AccessList(operation.value));
        break;
    case Op::remove_xattr:
        return remove_xattr(*file, operation.other);
    case Op::set_flags:
        file->flags = static_cast<std::uint32_t>(operation.value);
        file->align_hint = operation.other_offset;
        break;
    case Op::pin:
    case Op::unpin:
        if (auto allowed = check_range(*file, operation.offset, operation.length); !allowed)
            return allowed;
        pin_blocks(*file, operation.offset, operation.length, operation.op == Op::pin);
        break;
    case Op::lease:
        if (auto allowed = check_range(*file, operation.offset, operation.length); !allowed)
            return allowed;
        if (operation.value != 0) {
            file->write_leases.insert(operation.path.substr(1));
            file->mtime_ns.reset();
        }
        break;
    default:
        return Errc::invalid;
    }
    if (operation.op == Op::truncate || operation.op == Op::open_truncate)
        file->mtime_ns.reset();
    return {};
}

// ---- data -------------------------------------------------------------------------------------

namespace {

void put(OracleFile &file, std::uint64_t offset, const Bytes &bytes) {
    if (bytes.empty())
        return;
    file.data.resize(std::max<std::size_t>(file.data.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), file.data.begin() + static_cast<std::ptrdiff_t>(offset));
    file.mtime_ns.reset();
}

Bytes part(const OracleFile &file, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t begin = std::min<std::uint64_t>(offset, file.data.size());
    const std::uint64_t end = std::min<std::uint64_t>(offset + length, file.data.size());
    return {file.data.begin() + static_cast<std::ptrdiff_t>(begin),
            file.data.begin() + static_cast<std::ptrdiff_t>(end)};
}

void allocate(OracleFile &file, const Operation &operation) {
    const auto mode = static_cast<FallocateMode>(operation.value);
    const std::uint64_t end = operation.offset + operation.length;
    if (mode == FallocateMode::allocate || mode == FallocateMode::zero)
        file.data.resize(std::max<std::size_t>(file.data.size(), end));
    if (mode == FallocateMode::allocate || mode == FallocateMode::allocate_keep_size)
        return;
    const std::uint64_t stop = std::min<std::uint64_t>(end, file.data.size());
    for (std::uint64_t i = operation.offset; i < stop; ++i)
        file.data[i] = std::byte{0};
}

} // namespace

Result<void> Oracle::change_data(const Operation &operation, std::uint64_t count) {
    const File file = find(operation.path);
    if (!file)
        return Errc::not_found;
    if (operation.op == Op::fallocate) {
        if (operation.length == 0)
            return Errc::invalid;
        const auto mode = static_cast<FallocateMode>(operation.value);
        const bool frees = mode == FallocateMode::punch || mode == FallocateMode::zero ||
                           mode == FallocateMode::zero_keep_size;
        if (frees && (!file->pinned.empty() || !file->write_leases.empty()))
            return Errc::pinned;
        allocate(*file, operation);
        file->mtime_ns.reset();
        return {};
    }
    if (operation.op == Op::copy) {
        const File to = find(operation.other);
        if (!to)
            return Errc::not_found;
        put(*to, operation.other_offset, part(*file, operation.offset, count));
        return {};
    }
    const bool append = operation.op == Op::append;
    const std::uint64_t offset = append ? file->data.size() : operation.offset;
    if (file->pinned_whole && offset + count > file->data.size())
        return Errc::pinned;
    put(*file, offset, content(operation.version, append ? 0 : operation.offset, count));
    return {};
}

// ---- comparison -------------------------------------------------------------------------------

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
    if (text.empty() && data && found.data != file.data)
        text = "data at byte " + std::to_string(std::mismatch(found.data.begin(), found.data.end(),
                                                              file.data.begin(), file.data.end())
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
