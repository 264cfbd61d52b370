// SPDX-License-Identifier: BSD-3-Clause
//
// Opening and closing a volume, remounting, statistics.
#include "base/uuid.h"
#include "device/label.h"
#include "volume/engine.h"
#include "volume/geometry.h"

#include <algorithm>
#include <new>
#include <sys/stat.h>

namespace daxpin::volume {

namespace {

bool is_labelled(const format::DeviceLabel &label, unsigned index,
                 const format::DeviceEntry &entry) {
    return label.index == index && to_uuid(label.device_uuid) == to_uuid(entry.device_uuid) &&
           label.block_count == entry.block_count && label.role == entry.role &&
           label.mapping_unit == entry.mapping_unit;
}

Result<void> check_members(const device::DeviceTable &devices,
                           const format::Superblock &superblock) {
    if (superblock.device_count != devices.count())
        return Error{Errc::missing, "the volume has " +
                                        std::to_string(superblock.device_count.get()) +
                                        " devices, not " + std::to_string(devices.count())};
    for (unsigned i = 0; i < devices.count(); ++i) {
        const auto &path = devices.at(i).info().path;
        const auto &entry = superblock.devices[i];
        DAXPIN_TRY_ASSIGN(const auto label, device::read_label(devices.at(i)));
        if (!is_labelled(label, i, entry))
            return Error{Errc::corrupt, path + ": the label is not as the superblock has it: run "
                                               "fsck.daxpinfs"};
        if (devices.at(i).info().size / block_size < entry.block_count)
            return Error{Errc::invalid, path + ": the device is shorter than its volume"};
    }
    return {};
}

bool all_writable(const device::DeviceTable &devices) {
    for (unsigned i = 0; i < devices.count(); ++i)
        if (devices.at(i).info().read_only)
            return false;
    return true;
}

// A label lost to a media error is rewritten from its other copy. That the bad block cannot be
// written yet is no reason to refuse the mount: the other copy rules.
void restore_labels(const device::DeviceTable &devices) {
    for (unsigned i = 0; i < devices.count(); ++i)
        static_cast<void>(device::restore_copies(devices.at(i)).has_value());
}

// Else the volume may be read, and nothing on it written.
bool may_be_changed(const format::Superblock &superblock) {
    return (superblock.ro_compat & ~format::known_ro_compat) == 0;
}

journal::Writing what_to_write(bool may_write, bool only_reading) {
    if (!may_write)
        return journal::Writing::nothing;
    return only_reading ? journal::Writing::recovery : journal::Writing::everything;
}

// Damage that keeps a volume from being opened.
Error with_remedy(Error error) {
    if (error.code == Errc::corrupt && error.text.find("fsck") == std::string::npos)
        error.text = describe(error) + ": run fsck.daxpinfs";
    return error;
}

std::uint64_t largest_mapping_unit(const format::Superblock &superblock) {
    constexpr auto metadata_only = static_cast<std::uint32_t>(format::Role::metadata);
    std::uint64_t largest = block_size;
    for (unsigned i = 0; i < superblock.device_count; ++i)
        if (superblock.devices[i].role != metadata_only)
            largest = std::max<std::uint64_t>(largest, superblock.devices[i].mapping_unit);
    return largest;
}

} // namespace

Result<void> Engine::start() {
    DAXPIN_TRY_ASSIGN(superblock, device::read_superblock(devices.metadata()));
    DAXPIN_TRY(check_members(devices, superblock));
    DAXPIN_TRY(check_geometry(superblock));
    for (unsigned i = 0; i < devices.count(); ++i)
        devices.use_first(i, superblock.devices[i].block_count);
    const bool may_write = may_be_changed(superblock);
    if (!may_write && !options.read_only)
        return Error{Errc::unsupported,
                     devices.metadata().info().path +
                         ": uses features this program can only read (ro_compat): mount it "
                         "read-only (-o ro), or use a newer daxpin"};
    const bool only_reading = options.read_only || !all_writable(devices);
    read_only_.store(only_reading);
    std::copy(std::begin(superblock.hash_key), std::end(superblock.hash_key), hash_key.begin());
    boot_id = env.boot_id();
    mount_id = env.random64();
    mapping_unit = largest_mapping_unit(superblock);
    DAXPIN_TRY_ASSIGN(journal, journal::Journal::open(devices, journal::geometry_of(superblock),
                                                      env, what_to_write(may_write, only_reading)));
    if (!only_reading)
        restore_labels(devices);
    DAXPIN_TRY_ASSIGN(allocator, alloc::Allocator::open(*journal, superblock));
    tree = std::make_unique<btree::Tree>(*journal, MediaBlock::at(0, superblock.root));
    DAXPIN_TRY_ASSIGN(table, inode::InodeTable::open(*tree, env));
    // Neither keeps what is sound from being read.
    if (const auto damaged = allocator->damage())
        note_failure(*damaged);
    if (const auto *damaged = table->damage())
        note_failure(*damaged);
    unfinished = std::make_unique<inode::UnfinishedTable>(*tree);
    bad_block_table = std::make_unique<inode::BadBlockTable>(*tree);
    quarantine_table = std::make_unique<immutable::QuarantineTable>(*tree);
    shutdowns = std::make_unique<inode::ShutdownTable>(*tree);
    bad_blocks.load();
    cache = std::make_unique<InodeCache>(*table);
    const auto root = get_directory({format::root_inode});
    if (!root)
        return Error{Errc::corrupt, "the root directory cannot be read (" + describe(root.error()) +
                                        "): run fsck.daxpinfs"};
    note_shutdowns();
    return {};
}

Result<void> Engine::check_writable() const {
    if (is_read_only())
        return Errc::read_only;
    return {};
}

Result<alloc::Grace::Guard> Engine::begin_change() {
    // Enter first, look then: set_read_only() sets first and waits then.
    auto guard = changes_.enter();
    DAXPIN_TRY(check_writable());
    return guard;
}

Result<void> Engine::set_read_only(bool only_reading) {
    if (!only_reading) {
        if (journal->failed())
            return Error{Errc::read_only, "a device failed: only reading goes on"};
        if (options.errors != OnDamage::go_on && damage().count != 0)
            return Error{Errc::read_only, "metadata is damaged: unmount and run fsck.daxpinfs -y"};
        if (!all_writable(devices) || !may_be_changed(superblock))
            return Errc::read_only;
        DAXPIN_TRY(journal->begin_epoch());
        read_only_.store(false);
        note_shutdowns();
        post_work();
        return {};
    }
    removals.reap_all();
    // Damage makes a volume read-only at once: what is under way then is waited for here, too.
    const bool already = read_only_.exchange(true);
    const auto ticket = changes_.ticket();
    for (unsigned round = 0; !changes_.passed(ticket); ++round)
        spin_wait(round);
    return already || journal->failed() ? Result<void>{} : journal->checkpoint();
}

Result<InodeRef> Engine::get_directory(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(auto inode, get(number));
    if (inode->type != S_IFDIR)
        return Errc::not_directory;
    return inode;
}

Result<InodeRef> Engine::get_regular(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(auto inode, get(number));
    if (inode->type == S_IFDIR)
        return Errc::is_directory;
    if (inode->type != S_IFREG)
        return Errc::invalid;
    return inode;
}

void Engine::touch(Attributes &attributes, unsigned which) {
    const std::int64_t now = env.now_ns();
    if (which & touch_atime)
        attributes.atime_ns = now;
    if (which & touch_mtime)
        attributes.mtime_ns = now;
    if (which & touch_ctime)
        attributes.ctime_ns = now;
}

Result<const std::vector<immutable::BlockRange> *> Engine::pins(CachedInode &inode) {
    if (!inode.pins && inode.type != S_IFREG)
        inode.pins.emplace(); // only files have pins
    if (!inode.pins) {
        DAXPIN_TRY_ASSIGN(auto stored, pin_table(inode.number).list(nullptr));
        inode.pins = std::move(stored);
    }
    return &*inode.pins;
}

Result<immutable::FileState> Engine::file_state(CachedInode &inode) {
    DAXPIN_TRY_ASSIGN(const auto *ranges, pins(inode));
    if (inode.leases.asked_back())
        inode.leases.expire(env.since_boot_ns());
    const Attributes &attributes = inode.attributes;
    immutable::FileState state;
    state.regular = attributes.is_regular();
    state.link_count = attributes.link_count;
    state.size = attributes.size;
    state.mapping_unit = mapping_unit;
    state.immutable_flag = (attributes.flags & format::inode_flag_immutable) != 0;
    state.append_flag = (attributes.flags & format::inode_flag_append) != 0;
    state.pinned_whole = (attributes.flags & format::inode_flag_pinned_whole) != 0;
    state.any_pin = !ranges->empty();
    state.read_only_mount = is_read_only();
    return state;
}

void Engine::tell_data_changed(InodeNumber number) {
    if (CacheObserver *told = observer.load())
        told->invalidate_data(number);
}

void Engine::tell_attributes_changed(InodeNumber number) {
    if (CacheObserver *told = observer.load())
        told->invalidate_attributes(number);
}

Volume::Volume(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

Result<std::unique_ptr<Volume>> Volume::open(device::DeviceTable devices, Env &env,
                                             const Options &options) {
    auto engine = std::make_unique<Engine>(std::move(devices), env, options);
    if (auto started = engine->start(); !started)
        return with_remedy(std::move(started).error());
    return std::unique_ptr<Volume>(new Volume(std::move(engine)));
}

// What fails here is found again by the next mount's recovery.
Volume::~Volume() {
    if (engine_->is_read_only())
        return;
    try {
        engine_->removals.reap_all();
        static_cast<void>(engine_->journal->checkpoint().has_value());
    } catch (const std::bad_alloc &) {
        return;
    }
}

const format::Superblock &Volume::superblock() const {
    return engine_->superblock;
}
device::DeviceTable &Volume::devices() {
    return engine_->devices;
}
std::uint64_t Volume::records_replayed() const {
    return engine_->journal->report().records_replayed;
}
std::uint64_t Volume::mount_id() const {
    return engine_->mount_id;
}
void Volume::set_observer(CacheObserver *observer) {
    engine_->observer.store(observer);
}
bool Volume::read_only() const {
    return engine_->is_read_only();
}
bool Volume::failed() const {
    return engine_->journal->failed();
}
Result<void> Volume::set_read_only(bool read_only) {
    return engine_->set_read_only(read_only);
}
std::vector<BadBlockInfo> Volume::bad_blocks(bool owners) {
    return engine_->bad_blocks.show(owners);
}
std::vector<std::string> Volume::take_media_reports() {
    auto &bad = engine_->devices.bad_blocks();
    return bad.has_reports() ? bad.take_reports() : std::vector<std::string>();
}
bool Volume::awaits_proof() const {
    return engine_->quarantine.awaits_proof();
}
void Volume::prove_absence(std::vector<MediaRun> mapped) {
    engine_->quarantine.prove_absence(std::move(mapped));
}
void Volume::note_lost_pages() {
    engine_->bad_blocks.note_lost_pages();
}
Result<bool> Volume::background_step() {
    return engine_->background_step();
}

Result<bool> Volume::prezero_step() {
    return engine_->prezero_step();
}
std::uint64_t Volume::prezeroed_bytes() const {
    return engine_->allocator->prezeroed().bytes();
}

Result<void> Volume::checkpoint() {
    if (engine_->is_read_only())
        return {};
    return engine_->journal->checkpoint();
}

Result<Statistics> Volume::statistics() {
    engine_->removals.reap_all();
    const alloc::Space space = engine_->allocator->space();
    return Statistics{space.total_blocks, space.free_blocks, space.available_blocks};
}

} // namespace daxpin::volume
