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
    case Op::read:
    case Op::spoil:
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
    case Op::kill:
    case Op::reboot:
        for (const auto &[slot, file] : slots_)
            file->write_leases.erase(slot);
        slots_.clear();
        return {};
    case Op::remount:
    case Op::checkpoint:
    case Op::background:
    case Op::prezero:
    case Op::prove_absence:
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

// Blocks behind the end are the file's no more.
void drop_lost(OracleFile &file) {
    std::erase_if(file.lost,
                  [&](std::uint64_t block) { return block * block_size >= file.data.size(); });
}

Result<void> set_xattr(OracleFile &file, const Operation &operation) {
    const bool there = file.xattrs.contains(operation.other);
    const auto mode = static_cast<inode::XattrMode>(operation.value);
    if (mode == inode::XattrMode::create && there)
        return Errc::exists;
    if (mode == inode::XattrMode::replace && !there)
        return Errc::no_attribute;
    file.xattrs[operation.other] = written_bytes(operation, 0, operation.length);
    return {};
}

Result<void> change_lease(OracleFile &file, const Operation &operation) {
    const std::string slot = operation.path.substr(1);
    if (operation.op == Op::release) {
        if (file.write_leases.erase(slot) != 0)
            file.mtime_ns.reset();
        return {};
    }
    DAXPIN_TRY(check_range(file, operation.offset, operation.length));
    if (operation.value != 0) {
        file.write_leases.insert(slot);
        file.mtime_ns.reset();
    }
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
        drop_lost(*file);
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
    case Op::release:
        return change_lease(*file, operation);
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

// What a change of [offset, offset + length) does to lost blocks: those that it covers, up to the
// file's end at least, are good again. ERRORS: io if it covers one in part; nothing changes then.
Result<void> make_good(OracleFile &file, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    const std::uint64_t file_end = std::max<std::uint64_t>(file.data.size(), end);
    const auto touched = [&](std::uint64_t block) {
        return offset < (block + 1) * block_size && block * block_size < end;
    };
    const auto covered = [&](std::uint64_t block) {
        return offset <= block * block_size && end >= std::min((block + 1) * block_size, file_end);
    };
    for (const std::uint64_t block : file.lost) {
        if (touched(block) && !covered(block))
            return Errc::io;
    }
    std::erase_if(file.lost, touched);
    return {};
}

bool is_lost(const OracleFile &file, std::uint64_t offset, std::uint64_t length) {
    const auto block = file.lost.lower_bound(offset / block_size);
    return block != file.lost.end() && *block * block_size < offset + length;
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
        if (frees)
            DAXPIN_TRY(make_good(*file, operation.offset, operation.length));
        allocate(*file, operation);
        file->mtime_ns.reset();
        return {};
    }
    if (operation.op == Op::copy) {
        const File to = find(operation.other);
        if (!to)
            return Errc::not_found;
        if (is_lost(*file, operation.offset, operation.length))
            return Errc::io;
        DAXPIN_TRY(make_good(*to, operation.other_offset, count));
        put(*to, operation.other_offset, part(*file, operation.offset, count));
        return {};
    }
    if (operation.op == Op::spoil) {
        file->lost.insert(operation.offset / block_size);
        return {};
    }
    if (operation.op == Op::read)
        return file->lost.empty() ? Result<void>{} : Errc::io;
    if (operation.op == Op::mapped_write) { // what lies behind the end is nobody's
        const std::uint64_t size = file->data.size();
        count = std::min(count, size - std::min(operation.offset, size));
    }
    const bool append = operation.op == Op::append;
    const std::uint64_t offset = append ? file->data.size() : operation.offset;
    if (file->pinned_whole && offset + count > file->data.size())
        return Errc::pinned;
    DAXPIN_TRY(make_good(*file, offset, count));
    put(*file, offset, written_bytes(operation, append ? 0 : operation.offset, count));
    return {};
}

} // namespace daxpin::crash
