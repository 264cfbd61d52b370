// SPDX-License-Identifier: BSD-3-Clause
//
// Executor: performs operations on a volume the way the kernel would: names are looked up and
// forgotten, files opened and released around each call.
#pragma once

#include "crash/operation.h"
#include "volume/volume.h"

#include <map>
#include <set>
#include <string>

namespace daxpin::crash {

// root, with every capability
const volume::Caller &superuser();

class Executor {
  public:
    // What the kernel does with an inode that it has looked up: forgets it when the operation is
    // over, or keeps it as long as it has a name.
    enum class Lookups { forgotten, kept };
    explicit Executor(volume::Volume &volume, Lookups lookups = Lookups::forgotten)
        : volume_(volume), lookups_(lookups) {}
    ~Executor(); // releases what is open

    // Returns the bytes written, copied or 0.
    Result<std::uint64_t> run(const Operation &operation);

    // What is open stays so for ever: nobody is left to release it.
    void abandon() { slots_.clear(); }
    // The blocks of the file that is open in a slot.
    Result<std::set<std::uint64_t>> media_blocks(const std::string &slot);

  private:
    struct Open {
        InodeNumber number;
        volume::Handle handle;
        bool is_directory = false; // opened as one; no handle
        immutable::LeaseId lease = 0;
    };
    void close(const Open &open);
    class References;
    class Opened;

    Result<std::uint64_t> names(const Operation &operation, References &references);
    Result<std::uint64_t> attributes(const Operation &operation, References &references);
    Result<std::uint64_t> data(const Operation &operation, References &references);
    Result<std::uint64_t> on_open_file(const Operation &operation, InodeNumber number,
                                       volume::Handle handle);
    Result<std::uint64_t> open_slot(const Operation &operation, References &references);
    Result<std::uint64_t> copy(const Operation &operation, References &references, InodeNumber from,
                               volume::Handle handle);

    Result<std::uint64_t> read(InodeNumber number);
    Result<std::uint64_t> prezero();
    Result<std::uint64_t> spoil(const Operation &operation, InodeNumber number);
    Result<std::uint64_t> change_lease(const Operation &operation, Open &open);
    Result<std::uint64_t> write_mapped(const Operation &operation, InodeNumber number);

    void forget_nameless();

    volume::Volume &volume_;
    const Lookups lookups_;
    std::map<InodeNumber, std::uint64_t> kept_; // how often each was looked up
    std::map<std::string, Open> slots_;
};

} // namespace daxpin::crash
