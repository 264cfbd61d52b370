// SPDX-License-Identifier: BSD-3-Clause
//
// Operations that make an inode or give one a further name.
#include "volume/access_lists.h"
#include "volume/file_data.h"
#include "volume/names.h"

#include <limits>
#include <optional>
#include <sys/stat.h>
#include <utility>

namespace daxpin::volume {

namespace {

constexpr std::size_t target_bytes_max = 4095; // PATH_MAX with its NUL
constexpr std::uint32_t link_count_max = std::numeric_limits<std::uint32_t>::max();

Result<void> check_node(const NewNode &node) {
    switch (node.mode & S_IFMT) {
    case S_IFLNK:
        if (node.target.empty())
            return Errc::not_found;
        if (node.target.size() > target_bytes_max)
            return Errc::name_too_long;
        return {};
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
        return {};
    default:
        return Errc::invalid;
    }
}

bool is_device(std::uint32_t mode) {
    return S_ISCHR(mode) || S_ISBLK(mode);
}

// The attributes of a new inode below `parent`, with one name.
Result<Attributes> new_attributes(Engine &engine, const Caller &caller, const Attributes &parent,
                                  const NewNode &node, std::uint32_t mode) {
    DAXPIN_TRY_ASSIGN(const auto identity, engine.table->new_identity(parent.number));
    Attributes made;
    made.number = identity.number;
    made.generation = identity.generation;
    made.mode = mode;
    made.uid = caller.uid;
    made.gid = caller.gid;
    made.rdev = is_device(node.mode) ? node.rdev : 0;
    made.link_count = 1;
    if (made.is_directory()) {
        made.link_count = 2;
        made.parent = parent.number;
    }
    if (made.is_symlink()) {
        made.mode |= 0777;
        made.size = node.target.size();
    }
    if (parent.mode & S_ISGID) {
        made.gid = parent.gid;
        if (made.is_directory())
            made.mode |= S_ISGID;
    }
    if (made.is_directory() || made.is_regular()) {
        made.flags = parent.flags & format::inode_flag_dax;
        made.align_hint = parent.align_hint;
    }
    engine.touch(made, touch_atime | touch_mtime | touch_ctime);
    made.btime_ns = made.ctime_ns;
    return made;
}

Result<void> store_target(Engine &engine, Transaction &tx, InodeNumber number,
                          std::string_view target) {
    const auto content = std::as_bytes(std::span(target.data(), target.size()));
    DAXPIN_TRY_ASSIGN(const auto value, inode::encode_blob(tx, {}, content));
    return engine.tree->insert(tx, btree::Key::of(number, format::ItemType::symlink), value);
}

// Adds an entry to the directory, in `tx`.
Result<void> add_entry(Engine &engine, Transaction &tx, AttributeEdits &edits,
                       CachedInode &directory, std::string_view name, const Attributes &child) {
    DAXPIN_TRY(engine.directory(directory.number).insert(tx, name, entry_of(child)));
    Attributes &attributes = change_names(engine, edits, directory);
    ++attributes.size;
    if (child.is_directory())
        ++attributes.link_count;
    return {};
}

// The exclusive lock of an inode that is being made. It has no place in the order of inode locks:
// nobody else can know the inode, so nobody holds this lock and waits for another one.
class SCOPED_CAPABILITY LockOfNew {
  public:
    explicit LockOfNew(SharedMutex &mutex) ACQUIRE(mutex) NO_THREAD_SAFETY_ANALYSIS
        : mutex_(mutex) {
        for (unsigned round = 0; !mutex_.try_lock(); ++round)
            spin_wait(round);
    }
    ~LockOfNew() RELEASE() { mutex_.unlock(); }
    LockOfNew(const LockOfNew &) = delete;
    LockOfNew &operator=(const LockOfNew &) = delete;

  private:
    SharedMutex &mutex_;
};

// An open file of an inode that is being made; closed again unless keep() is called.
class Opening {
  public:
    Opening(Engine &engine, const InodeRef &inode, const OpenRequest &request) : inode_(inode) {
        const LockOfNew lock(inode->mutex);
        reply_ = engine.add_handle(inode, request);
    }
    ~Opening() {
        if (reply_.handle == 0)
            return;
        decltype(CachedInode::handles)::node_type closed; // dies after the lock
        const LockOfNew lock(inode_->mutex);
        closed = inode_->take_handle(reply_.handle);
    }
    Opening(const Opening &) = delete;
    Opening &operator=(const Opening &) = delete;
    OpenReply keep() { return std::exchange(reply_, {}); }

  private:
    const InodeRef &inode_;
    OpenReply reply_;
};

// Makes the inode and its name, open if so asked: `reply`. REQUIRES: begin_change() held. The
// reference counts as a lookup.
Result<InodeRef> make(Engine &engine, const Caller &caller, InodeNumber parent,
                      std::string_view name, const NewNode &node,
                      const OpenRequest *request = nullptr, OpenReply *reply = nullptr) {
    DAXPIN_TRY(check_new_name(name));
    DAXPIN_TRY(check_node(node));
    DAXPIN_TRY_ASSIGN(const auto directory, engine.get_directory(parent));
    const ExclusiveLock lock(directory->mutex);
    DAXPIN_TRY(check_may_add(*directory));
    if (S_ISDIR(node.mode) && directory->attributes.link_count == link_count_max)
        return Errc::too_many_links;
    DAXPIN_TRY_ASSIGN(const auto inherited, inherit(engine, *directory, node.mode, caller.umask));
    DAXPIN_TRY_ASSIGN(const Attributes made,
                      new_attributes(engine, caller, directory->attributes, node, inherited.mode));
    // Cached and open before it is on media: afterwards nothing may fail. Nobody can know it yet.
    auto inode = engine.cache->insert(made);
    std::optional<Opening> opening;
    if (request)
        opening.emplace(engine, inode, *request);
    AttributeEdits edits;
    DAXPIN_TRY(engine.transact([&](Transaction &tx) -> Result<void> {
        edits.restart();
        DAXPIN_TRY(add_entry(engine, tx, edits, *directory, name, made));
        if (made.is_symlink())
            DAXPIN_TRY(store_target(engine, tx, made.number, node.target));
        DAXPIN_TRY(inherited.store(engine, tx, made.number));
        DAXPIN_TRY(engine.table->store(tx, made));
        return edits.store(*engine.table, *engine.unfinished, tx);
    }));
    edits.publish();
    engine.cache->add_lookup(inode);
    if (opening)
        *reply = opening->keep();
    return inode;
}

} // namespace

Result<Attributes> Volume::make_node(const Caller &caller, InodeNumber parent,
                                     std::string_view name, const NewNode &node) {
    DAXPIN_TRY_ASSIGN(const auto change, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto inode, make(*engine_, caller, parent, name, node));
    const SharedLock lock(inode->mutex);
    return inode->attributes;
}

Result<Volume::Created> Volume::create(const Caller &caller, InodeNumber parent,
                                       std::string_view name, const NewNode &node,
                                       const OpenRequest &request) {
    if (!S_ISREG(node.mode))
        return Errc::invalid;
    DAXPIN_TRY_ASSIGN(const auto change, engine_->begin_change());
    OpenReply reply;
    DAXPIN_TRY_ASSIGN(const auto inode,
                      make(*engine_, caller, parent, name, node, &request, &reply));
    const SharedLock lock(inode->mutex);
    return Created{inode->attributes, reply};
}

Result<Volume::Created> Volume::create_unnamed(const Caller &caller, InodeNumber parent,
                                               const NewNode &node, const OpenRequest &request) {
    if (!S_ISREG(node.mode))
        return Errc::invalid;
    DAXPIN_TRY_ASSIGN(const auto change, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto directory, engine_->get_directory(parent));
    Attributes made;
    Inherited inherited;
    {
        const ExclusiveLock lock(directory->mutex);
        DAXPIN_TRY(check_may_add(*directory));
        DAXPIN_TRY_ASSIGN(inherited, inherit(*engine_, *directory, node.mode, caller.umask));
        DAXPIN_TRY_ASSIGN(
            made, new_attributes(*engine_, caller, directory->attributes, node, inherited.mode));
    }
    made.link_count = 0;
    // In use before it is on media, or a background step might take it for an orphan.
    const auto inode = engine_->cache->insert(made);
    Opening opening(*engine_, inode, request);
    DAXPIN_TRY(engine_->transact([&](Transaction &tx) -> Result<void> {
        DAXPIN_TRY(inherited.store(*engine_, tx, made.number));
        DAXPIN_TRY(engine_->table->store(tx, made));
        return engine_->unfinished->put(
            tx, {made.number, made.generation, format::UnfinishedKind::remove, FileBlock{0}});
    }));
    engine_->cache->add_lookup(inode);
    const ExclusiveLock lock(inode->mutex);
    inode->linkable = true;
    return Created{inode->attributes, opening.keep()};
}

Result<Attributes> Volume::link(const Caller &, InodeNumber number, InodeNumber parent,
                                std::string_view name) {
    DAXPIN_TRY(check_new_name(name));
    DAXPIN_TRY_ASSIGN(const auto change, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    DAXPIN_TRY_ASSIGN(const auto directory, engine_->get_directory(parent));
    if (inode->type == S_IFDIR)
        return Errc::not_permitted;
    const InodeLocks locks{inode.get(), directory.get()};
    DAXPIN_TRY(check_may_add(*directory));
    if (inode->attributes.flags & (format::inode_flag_immutable | format::inode_flag_append))
        return Errc::not_permitted;
    if (inode->attributes.link_count == 0 && !inode->linkable)
        return Errc::not_found;
    if (inode->attributes.link_count == link_count_max)
        return Errc::too_many_links;
    // What is left of a truncation has no entry to remember it by, only that of the removal.
    if (inode->attributes.link_count == 0 && inode->type == S_IFREG) {
        DAXPIN_TRY(engine_->pins(*inode));
        DAXPIN_TRY(finish_truncate(*engine_, *inode));
    }
    AttributeEdits edits;
    DAXPIN_TRY(engine_->transact([&](Transaction &tx) -> Result<void> {
        edits.restart();
        Attributes &linked = edits.of(*inode);
        ++linked.link_count;
        engine_->touch(linked, touch_ctime);
        DAXPIN_TRY(add_entry(*engine_, tx, edits, *directory, name, linked));
        return edits.store(*engine_->table, *engine_->unfinished, tx);
    }));
    edits.publish();
    inode->linkable = false;
    engine_->cache->add_lookup(inode);
    return inode->attributes;
}

} // namespace daxpin::volume
