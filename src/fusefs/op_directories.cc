// SPDX-License-Identifier: BSD-3-Clause
//
// Requests about the contents of directories.
#include "base/assert.h"
#include "fusefs/operations.h"
#include "fusefs/request.h"

#include <dirent.h>

namespace daxpin::fusefs {
namespace {

// Fills a reply of at most `size` bytes with packed entries.
class Packer {
  public:
    // `plus`: add_plus() will be used. It must not throw, or lookups would be lost.
    Packer(fuse_req_t raw, std::size_t size, bool plus) : raw_(raw), bytes_(size) {
        if (plus)
            looked_up_.reserve(size / entry_plus_bytes_min);
    }

    // False if there is no room for it.
    bool add(const volume::ListedEntry &entry) {
        struct stat st {};
        st.st_ino = entry.number.value;
        st.st_mode = DTTOIF(entry.type);
        return advance(fuse_add_direntry(raw_, rest(), room(), terminated(entry.name), &st,
                                         static_cast<off_t>(entry.cookie)));
    }

    // The same with attributes. The kernel takes "." and "..", and what has none, without a node.
    bool add_plus(const volume::ListedEntry &entry, const volume::Attributes *attributes) {
        const bool with_node = attributes && entry.name != "." && entry.name != "..";
        fuse_entry_param plus{};
        if (attributes)
            plus.attr = to_stat(*attributes);
        else
            plus.attr.st_mode = DTTOIF(entry.type);
        plus.attr.st_ino = entry.number.value;
        if (with_node) {
            plus.ino = attributes->number.value;
            plus.generation = attributes->generation;
            plus.attr_timeout = attribute_timeout(*attributes);
            plus.entry_timeout = cache_timeout;
        }
        const std::size_t needed = fuse_add_direntry_plus(
            raw_, rest(), room(), terminated(entry.name), &plus, static_cast<off_t>(entry.cookie));
        if (!advance(needed))
            return false;
        if (with_node)
            looked_up_.push_back(attributes->number);
        return true;
    }

    EntriesReply take() {
        bytes_.resize(used_);
        return {std::move(bytes_), std::move(looked_up_)};
    }

  private:
    static constexpr std::size_t entry_plus_bytes_min = 152; // sizeof(struct fuse_direntplus)
    static constexpr std::size_t name_bytes_max = 255;

    const char *terminated(std::string_view name) {
        DAXPIN_ASSERT(name.size() <= name_bytes_max);
        name_[name.copy(name_, name_bytes_max)] = '\0';
        return name_;
    }
    char *rest() { return bytes_.data() + used_; }
    std::size_t room() const { return bytes_.size() - used_; }
    bool advance(std::size_t needed) {
        if (needed > room())
            return false;
        used_ += needed;
        return true;
    }

    fuse_req_t raw_;
    std::vector<char> bytes_;
    std::size_t used_ = 0;
    std::vector<InodeNumber> looked_up_;
    char name_[name_bytes_max + 1] = {};
};

} // namespace

void op_opendir(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *) {
    dispatch(raw, [&](Filesystem &fs) -> Result<DirectoryReply> {
        DAXPIN_TRY(fs.volume.open_directory(InodeNumber{inode}));
        return DirectoryReply{InodeNumber{inode}};
    });
}

void op_releasedir(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        fs.volume.release_directory(InodeNumber{inode});
        return EmptyReply{};
    });
}

void op_readdir(fuse_req_t raw, fuse_ino_t inode, size_t size, off_t after, fuse_file_info *) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EntriesReply> {
        Packer packer(raw, size, false);
        DAXPIN_TRY(fs.volume.list(InodeNumber{inode}, static_cast<std::uint64_t>(after), false,
                                  [&](const volume::ListedEntry &entry,
                                      const volume::Attributes *) { return packer.add(entry); }));
        return packer.take();
    });
}

void op_readdirplus(fuse_req_t raw, fuse_ino_t inode, size_t size, off_t after, fuse_file_info *) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EntriesReply> {
        Packer packer(raw, size, true);
        const auto listed = fs.volume.list(
            InodeNumber{inode}, static_cast<std::uint64_t>(after), true,
            [&](const volume::ListedEntry &entry, const volume::Attributes *attributes) {
                return packer.add_plus(entry, attributes);
            });
        auto entries = packer.take();
        if (listed || !entries.looked_up.empty())
            return entries; // an error behind them comes up again when the kernel goes on there
        return listed.error();
    });
}

} // namespace daxpin::fusefs
