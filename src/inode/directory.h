// SPDX-License-Identifier: BSD-3-Clause
//
// Directory: the entries of one directory, keyed by a keyed hash of the name.
//
// A key's place is 52 bits of SipHash under the volume's secret (never 0) and 8 bits of
// discriminator for equal hashes; it is also the readdir cookie, stable while entries come and
// go. "." and ".." are not stored. Not thread-safe: the caller holds the directory's lock.
// Layout: docs/format.md, "Directory entry".
#pragma once

#include "inode/name_index.h"

#include <functional>
#include <optional>
#include <string_view>

namespace daxpin::inode {

struct Entry {
    InodeNumber number;
    std::uint64_t generation = 0;
    unsigned type = 0; // DT_*
};

class Directory {
  public:
    using Transaction = btree::Tree::Transaction;
    static constexpr std::size_t name_bytes_max = 255;

    // `hash` places the names; another one than the default makes another format.
    Directory(btree::Tree &tree, const HashKey &key, InodeNumber number, NameHash hash = name_hash)
        : tree_(tree), key_(key), number_(number), hash_(hash) {}

    Result<std::optional<Entry>> find(Transaction *tx, std::string_view name) const;

    // ERRORS of all three: name_too_long; invalid for "", ".", ".." and names with '/' or NUL.
    // insert: exists; no_space (also if 256 names share a hash).
    Result<void> insert(Transaction &tx, std::string_view name, const Entry &entry);
    Result<void> replace(Transaction &tx, std::string_view name, const Entry &entry); // not_found
    Result<void> erase(Transaction &tx, std::string_view name);                       // not_found

    // Visits entries whose cookie is > `after`, in cookie order, until it returns false.
    // Cookies are in [256, 2^60).
    using Visitor = std::function<bool(std::uint64_t cookie, std::string_view, const Entry &)>;
    Result<void> list(std::uint64_t after, const Visitor &visit) const;

  private:
    btree::Tree &tree_;
    const HashKey &key_;
    InodeNumber number_;
    NameHash hash_;
};

} // namespace daxpin::inode
