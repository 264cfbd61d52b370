// SPDX-License-Identifier: BSD-3-Clause
//
// WriteProtect: dirty tracking by the kernel, which sees every store of this process by itself.
//
// userfaultfd in asynchronous write-protect mode (Linux 6.7): the first store to a clean page costs
// a fault, and PAGEMAP_SCAN tells which pages were stored to and protects them again in one step.
// No thread handles faults. A child made by fork() is not watched: there, and wherever the watch
// was lost or the kernel cannot be asked, everything counts as dirty.
#pragma once

#include "base/unique_fd.h"
#include "client/dirty_tracker.h"

#include <cstdint>
#include <memory>
#include <sys/types.h>

namespace daxpin::client {

class WriteProtect final : public DirtyTracker {
  public:
    // For a mapping of `size` bytes at `address`.
    // ERRORS: unsupported where the kernel cannot do it for that mapping, not_permitted where the
    // caller may not; those of a lack of descriptors or memory.
    static Result<std::unique_ptr<DirtyTracker>> make(std::byte *address, std::size_t size);
    ~WriteProtect() override;

    void mark(std::size_t, std::size_t) override {}
    void mark_all() override {} // what another process took it did not take from this one
    Result<void> take(std::size_t offset, std::size_t length, const Flush &flush) override;
    // What is added where nobody watches is not watched either.
    Result<void> extend(std::size_t size) override;

  private:
    WriteProtect(std::byte *address, UniqueFd watch);
    bool holds_watch() const;

    std::byte *address_;
    std::size_t size_ = 0; // watched, bytes
    UniqueFd watch_;       // the userfaultfd
    dev_t watch_device_ = 0;
    ino_t watch_inode_ = 0;
    pid_t maker_; // the process whose memory is watched
};

} // namespace daxpin::client
