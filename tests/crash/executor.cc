// SPDX-License-Identifier: BSD-3-Clause
#include "crash/executor.h"

#include "crash/access_list.h"

#include "base/assert.h"
#include "crash/dump.h"
#include "support/sim_device.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

namespace daxpin::crash {

using volume::Handle;

const volume::Caller &superuser() {
    static const volume::Caller caller{
        .uid = 0, .gid = 0, .umask = 0, .has_capability = [](int) { return true; }};
    return caller;
}

// The lookups of one operation.
class Executor::References {
  public:
    explicit References(Executor &executor) : executor_(executor) {}
    ~References() {
        const auto numbers = std::span(numbers_).first(count_);
        if (executor_.lookups_ == Lookups::kept) {
            for (const InodeNumber number : numbers)
                ++executor_.kept_[number];
            executor_.forget_nameless();
        } else {
            for (const InodeNumber number : numbers)
                executor_.volume_.forget(number, 1);
        }
    }

    // Takes no memory, which may be what is being tested.
    void add(InodeNumber number) { numbers_.at(count_++) = number; }

    Result<InodeNumber> find(const std::string &path) {
        InodeNumber number{format::root_inode};
        std::size_t begin = 0;
        if (path.starts_with('@')) { // as with openat()
            const std::size_t end = std::min(path.find('/'), path.size());
            number = executor_.slots_.at(path.substr(1, end - 1)).number;
            begin = end + 1;
        }
        while (begin < path.size()) {
            const std::size_t end = std::min(path.find('/', begin), path.size());
            DAXPIN_TRY_ASSIGN(number, lookup(number, path.substr(begin, end - begin)));
            begin = end + 1;
        }
        return number;
    }

    struct Place {
        InodeNumber directory;
        std::string name;
    };
    Result<Place> find_parent(const std::string &path) {
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos)
            return Place{InodeNumber{format::root_inode}, path};
        DAXPIN_TRY_ASSIGN(const InodeNumber directory, find(path.substr(0, slash)));
        return Place{directory, path.substr(slash + 1)};
    }

  private:
    Result<InodeNumber> lookup(InodeNumber directory, const std::string &name) {
        DAXPIN_TRY_ASSIGN(const auto found, executor_.volume_.lookup(directory, name));
        add(found.number);
        return found.number;
    }

    Executor &executor_;
    std::array<InodeNumber, 64> numbers_{};
    std::size_t count_ = 0;
};

// Releases an open file at its end.
class Executor::Opened {
  public:
    Opened(Executor &executor, InodeNumber number, Handle handle)
        : executor_(executor), number_(number), handle_(handle) {}
    ~Opened() { executor_.volume_.release(number_, handle_); }
    Opened(const Opened &) = delete;
    Opened &operator=(const Opened &) = delete;

  private:
    Executor &executor_;
    InodeNumber number_;
    Handle handle_;
};

Executor::~Executor() {
    for (const auto &[name, open] : slots_)
        close(open);
}

void Executor::forget_nameless() {
    std::erase_if(kept_, [&](const auto &entry) {
        const auto attributes = volume_.attributes(entry.first);
        const bool gone = !attributes || attributes->link_count == 0;
        if (gone)
            volume_.forget(entry.first, entry.second);
        return gone;
    });
}

void Executor::close(const Open &open) {
    if (open.is_directory)
        volume_.release_directory(open.number);
    else
        volume_.release(open.number, open.handle);
}

Result<std::uint64_t> Executor::run(const Operation &operation) {
    References references(*this);
    switch (operation.op) {
    case Op::create:
    case Op::mkdir:
    case Op::mknod:
    case Op::symlink:
    case Op::link:
    case Op::unlink:
    case Op::rmdir:
    case Op::rename:
        return names(operation, references);
    case Op::truncate:
    case Op::chmod:
    case Op::chown:
    case Op::utimens:
    case Op::set_xattr:
    case Op::remove_xattr:
    case Op::set_list:
    case Op::set_flags:
        return attributes(operation, references);
    case Op::write:
    case Op::append:
    case Op::open_truncate:
    case Op::fallocate:
    case Op::copy:
    case Op::pin:
    case Op::unpin:
    case Op::extend:
    case Op::mapped_write:
    case Op::read:
    case Op::spoil:
        return data(operation, references);
    case Op::open:
    case Op::close:
    case Op::open_unnamed:
        return open_slot(operation, references);
    case Op::checkpoint:
        DAXPIN_TRY(volume_.checkpoint());
        return 0;
    case Op::background:
        DAXPIN_TRY(volume_.background_step());
        return 0;
    case Op::prezero:
        return prezero();
    case Op::prove_absence:
        volume_.prove_absence({});
        DAXPIN_TRY(volume_.background_step());
        return 0;
    case Op::lease:
    case Op::release:
        return change_lease(operation, slots_.at(operation.path.substr(1)));
    case Op::remount:
    case Op::kill:
    case Op::reboot:
        break; // the caller's business
    }
    DAXPIN_ASSERT(false);
    return Errc::invalid;
}

// As by a thread of its own: only its own drains make its stores durable. Others may be in its way
// for ever.
Result<std::uint64_t> Executor::prezero() {
    constexpr unsigned other_thread = 50;
    constexpr unsigned steps_max = 32;
    struct AsThread {
        explicit AsThread(unsigned number) { test::set_thread_number(number); }
        ~AsThread() { test::set_thread_number(before); }
        unsigned before = test::thread_number();
    };
    const AsThread thread(test::thread_number() + other_thread);
    bool more = true;
    for (unsigned steps = 0; more && steps < steps_max; ++steps) {
        DAXPIN_TRY_ASSIGN(more, volume_.prezero_step());
    }
    return 0;
}

// ---- names ------------------------------------------------------------------------------------

Result<std::uint64_t> Executor::names(const Operation &operation, References &references) {
    const auto &caller = superuser();
    if (operation.op == Op::link) {
        DAXPIN_TRY_ASSIGN(const InodeNumber number, references.find(operation.path));
        DAXPIN_TRY_ASSIGN(const auto to, references.find_parent(operation.other));
        DAXPIN_TRY_ASSIGN(const auto linked, volume_.link(caller, number, to.directory, to.name));
        references.add(linked.number);
        return 0;
    }
    DAXPIN_TRY_ASSIGN(const auto place, references.find_parent(operation.path));
    if (operation.op == Op::unlink) {
        DAXPIN_TRY(volume_.unlink(caller, place.directory, place.name));
        return 0;
    }
    if (operation.op == Op::rmdir) {
        DAXPIN_TRY(volume_.remove_directory(caller, place.directory, place.name));
        return 0;
    }
    if (operation.op == Op::rename) {
        DAXPIN_TRY_ASSIGN(const auto to, references.find_parent(operation.other));
        DAXPIN_TRY(volume_.rename(caller, place.directory, place.name, to.directory, to.name,
                                  static_cast<volume::RenameMode>(operation.value)));
        return 0;
    }
    volume::NewNode node{.mode = static_cast<std::uint32_t>(operation.value)};
    node.rdev = static_cast<std::uint32_t>(operation.offset);
    if (operation.op == Op::symlink) {
        node.mode = 0120777;
        node.target = operation.other;
    }
    if (operation.op != Op::create) {
        DAXPIN_TRY_ASSIGN(const auto made,
                          volume_.make_node(caller, place.directory, place.name, node));
        references.add(made.number);
        return 0;
    }
    DAXPIN_TRY_ASSIGN(const auto made,
                      volume_.create(caller, place.directory, place.name, node, {.write = true}));
    references.add(made.attributes.number);
    volume_.release(made.attributes.number, made.open.handle);
    return 0;
}

// ---- attributes -------------------------------------------------------------------------------

Result<std::uint64_t> Executor::attributes(const Operation &operation, References &references) {
    const auto &caller = superuser();
    DAXPIN_TRY_ASSIGN(const InodeNumber number, references.find(operation.path));
    if (operation.op == Op::set_xattr) {
        const auto value = written_bytes(operation, 0, operation.length);
        DAXPIN_TRY(volume_.set_xattr(caller, number, operation.other, value,
                                     static_cast<inode::XattrMode>(operation.value)));
        return 0;
    }
    if (operation.op == Op::remove_xattr) {
        DAXPIN_TRY(volume_.remove_xattr(caller, number, operation.other));
        return 0;
    }
    if (operation.op == Op::set_list) {
        const auto value = AccessList(operation.value).bytes();
        DAXPIN_TRY(
            volume_.set_xattr(caller, number, operation.other, value, inode::XattrMode::any));
        return 0;
    }
    if (operation.op == Op::set_flags) {
        DAXPIN_TRY(volume_.set_flags(caller, number, static_cast<std::uint32_t>(operation.value),
                                     operation.other_offset));
        return 0;
    }
    volume::AttributeChange change;
    if (operation.op == Op::truncate)
        change.size = operation.length;
    if (operation.op == Op::chmod)
        change.mode = static_cast<std::uint32_t>(operation.value);
    if (operation.op == Op::chown) {
        change.uid = static_cast<std::uint32_t>(operation.offset);
        change.gid = static_cast<std::uint32_t>(operation.length);
    }
    if (operation.op == Op::utimens) {
        change.atime_ns = static_cast<std::int64_t>(operation.offset);
        change.mtime_ns = static_cast<std::int64_t>(operation.length);
    }
    DAXPIN_TRY(volume_.set_attributes(caller, number, change));
    return 0;
}

// ---- open files -------------------------------------------------------------------------------

Result<std::uint64_t> Executor::open_slot(const Operation &operation, References &references) {
    if (operation.op == Op::close) {
        const auto open = slots_.extract(operation.other);
        close(open.mapped());
        return 0;
    }
    const volume::OpenRequest request{.write = true, .direct = true};
    if (operation.op == Op::open) {
        DAXPIN_TRY_ASSIGN(const InodeNumber number, references.find(operation.path));
        DAXPIN_TRY_ASSIGN(const auto attributes, volume_.attributes(number));
        std::map<std::string, Open> slot{{operation.other, Open{number, 0}}};
        if (attributes.is_directory()) {
            DAXPIN_TRY(volume_.open_directory(number));
            slot.begin()->second.is_directory = true;
            slots_.merge(slot);
            return 0;
        }
        DAXPIN_TRY_ASSIGN(const auto reply, volume_.open_file(superuser(), number, request));
        slot.begin()->second.handle = reply.handle;
        slots_.merge(slot);
        return 0;
    }
    DAXPIN_TRY_ASSIGN(const InodeNumber directory, references.find(operation.path));
    const volume::NewNode node{.mode = static_cast<std::uint32_t>(operation.value)};
    std::map<std::string, Open> slot{{operation.other, Open{}}};
    DAXPIN_TRY_ASSIGN(const auto made,
                      volume_.create_unnamed(superuser(), directory, node, request));
    references.add(made.attributes.number);
    slot.begin()->second = {made.attributes.number, made.open.handle};
    slots_.merge(slot);
    return 0;
}

Result<std::uint64_t> Executor::data(const Operation &operation, References &references) {
    DAXPIN_TRY_ASSIGN(const InodeNumber number, references.find(operation.path));
    if (operation.path.starts_with('@')) {
        const Handle handle = slots_.at(operation.path.substr(1)).handle;
        if (operation.op == Op::copy)
            return copy(operation, references, number, handle);
        return on_open_file(operation, number, handle);
    }
    volume::OpenRequest request{.write = true};
    request.append = operation.op == Op::append;
    request.truncate = operation.op == Op::open_truncate;
    request.direct =
        operation.op == Op::pin || operation.op == Op::unpin || operation.op == Op::extend;
    DAXPIN_TRY_ASSIGN(const auto open, volume_.open_file(superuser(), number, request));
    const Opened opened(*this, number, open.handle);
    return operation.op == Op::copy ? copy(operation, references, number, open.handle)
                                    : on_open_file(operation, number, open.handle);
}

Result<std::uint64_t> Executor::copy(const Operation &operation, References &references,
                                     InodeNumber from, Handle handle) {
    DAXPIN_TRY_ASSIGN(const InodeNumber to, references.find(operation.other));
    DAXPIN_TRY_ASSIGN(const auto open, volume_.open_file(superuser(), to, {.write = true}));
    const Opened opened(*this, to, open.handle);
    return volume_.copy_range(from, handle, operation.offset, to, open.handle,
                              operation.other_offset, operation.length);
}

Result<std::uint64_t> Executor::on_open_file(const Operation &operation, InodeNumber number,
                                             Handle handle) {
    const immutable::ByteRange range{operation.offset, operation.length};
    switch (operation.op) {
    case Op::open_truncate:
        return 0; // opening did it
    case Op::write:
    case Op::append: {
        // The bytes of an append are told by their position in the write.
        const auto bytes = written_bytes(
            operation, operation.op == Op::append ? 0 : operation.offset, operation.length);
        return volume_.write(number, handle, operation.offset, bytes);
    }
    case Op::fallocate:
        DAXPIN_TRY(volume_.fallocate(number, handle,
                                     static_cast<volume::FallocateMode>(operation.value),
                                     operation.offset, operation.length));
        return 0;
    case Op::pin:
        DAXPIN_TRY(volume_.pin(superuser(), number,
                               {.range = range,
                                .align = operation.value,
                                .prepare = operation.prepare,
                                .handle = handle}));
        return 0;
    case Op::unpin:
        DAXPIN_TRY(volume_.unpin(superuser(), number, range, handle));
        return 0;
    case Op::extend:
        DAXPIN_TRY(volume_.extend(superuser(), number, operation.length, handle));
        return 0;
    case Op::mapped_write:
        return write_mapped(operation, number);
    case Op::read:
        return read(number);
    case Op::spoil:
        return spoil(operation, number);
    default:
        DAXPIN_ASSERT(false);
    }
    return Errc::invalid;
}

// Block by block; the daemon notes what the kernel could not copy from the media.
Result<std::uint64_t> Executor::read(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto attributes, volume_.attributes(number));
    bool lost = false;
    Bytes copied;
    for (std::uint64_t at = 0; at < attributes.size; at += block_size) {
        const auto reply = volume_.read(number, 0, at, block_size);
        if (!reply && reply.code() != Errc::io)
            return reply.error();
        lost = lost || !reply;
        if (!reply || copy_reply(volume_, *reply, copied))
            continue;
        lost = true;
        for (const auto &segment : reply->segments)
            volume_.devices().note_unreadable(segment, format::BadBlockSource::reply);
    }
    if (lost)
        return Errc::io;
    return 0;
}

Result<std::uint64_t> Executor::spoil(const Operation &operation, InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto extents, volume_.show_extents(number));
    const std::uint64_t block = operation.offset / block_size * block_size;
    for (const auto &extent : extents) {
        if (block < extent.file_offset || block >= extent.file_offset + extent.length)
            continue;
        auto &device = dynamic_cast<test::SimDevice &>(volume_.devices().at(extent.device));
        device.media().poison(extent.device_offset + block - extent.file_offset, block_size);
        return 0;
    }
    return Errc::no_data;
}

Result<std::uint64_t> Executor::change_lease(const Operation &operation, Open &open) {
    if (operation.op == Op::release) {
        DAXPIN_TRY(volume_.release_lease(open.number, open.handle, open.lease));
        return 0;
    }
    const immutable::ByteRange range{operation.offset, operation.length};
    DAXPIN_TRY_ASSIGN(const auto granted, volume_.lease(superuser(), open.number, range,
                                                        operation.value != 0, false, open.handle));
    open.lease = granted.id;
    return 0;
}

Result<std::set<std::uint64_t>> Executor::media_blocks(const std::string &slot) {
    std::set<std::uint64_t> blocks;
    DAXPIN_TRY_ASSIGN(const auto extents, volume_.show_extents(slots_.at(slot).number));
    for (const auto &extent : extents)
        for (std::uint64_t at = 0; at < extent.length; at += block_size)
            blocks.insert(
                MediaBlock::at(extent.device, (extent.device_offset + at) / block_size).value);
    return blocks;
}

// What a client does that maps the device at the file's extents.
Result<std::uint64_t> Executor::write_mapped(const Operation &operation, InodeNumber number) {
    const auto bytes = content(operation.version, operation.offset, operation.length);
    DAXPIN_TRY_ASSIGN(const auto extents, volume_.show_extents(number));
    for (const auto &extent : extents) {
        const std::uint64_t from = std::max(operation.offset, extent.file_offset);
        const std::uint64_t to =
            std::min(operation.offset + operation.length, extent.file_offset + extent.length);
        if (from < to)
            DAXPIN_TRY(volume_.devices()
                           .at(extent.device)
                           .copy(extent.device_offset + from - extent.file_offset,
                                 std::span(bytes).subspan(from - operation.offset, to - from),
                                 device::StoreKind::cached));
    }
    DAXPIN_TRY(volume_.sync_range(number, {operation.offset, operation.length}));
    return operation.length;
}

} // namespace daxpin::crash
