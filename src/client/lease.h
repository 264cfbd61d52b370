// SPDX-License-Identifier: BSD-3-Clause
//
// Lease: the right to map a range of a file, and where its bytes lie.
//
// It lives as long as a mapping of this process uses it, by its anchor: a page of the file that
// fork() passes on with the mappings. Mapping the same range again finds it in a table of the
// process and asks only, by poll(2), whether leases of the file were asked back: else the block map
// cannot change under a lease for writing. Under a lease for reading it can, so there the
// generation is asked for too. Where the daemon's broker opens the devices, each mapping takes a
// lease of its own: a descriptor that was kept for the next could be closed by a program that
// closes all.
#pragma once

#include "client/address_range.h"
#include "client/file.h"

#include <map>
#include <memory>

namespace daxpin::client {

class Lease : public std::enable_shared_from_this<Lease> {
  public:
    // The lease of this process that covers the range, or a new one.
    // ERRORS: see daxpin_map_new(); stale if the file's map changed meanwhile (try again).
    static Result<std::shared_ptr<Lease>> obtain(int fd, const FileRange &range, bool prepare);
    ~Lease();
    Lease(const Lease &) = delete;
    Lease &operator=(const Lease &) = delete;

    // To be called when the extents are mapped: whether they are still the file's; from then on
    // others may find a new lease. `fd` is any descriptor of the file.
    // ERRORS: stale if the map has changed, or may change since the file's leases were asked back;
    // the next obtain() takes a new lease.
    Result<void> confirm(int fd);

    // Whether the extents are the file's by its status. One for writing keeps them so, in the mount
    // that granted it, unless the file's leases were asked back.
    bool holds(const daxpin_file_status &status) const;

    // From the range's start, without a gap; the last may reach beyond its end.
    const std::vector<daxpin_extent> &extents() const { return extents_; }
    std::uint64_t end() const; // of the last extent, in the file
    const daxpin_device &device(unsigned index) const { return devices_.at(index); }
    // A descriptor to map the device by. The broker gives one, to the process that took the lease.
    Result<UniqueFd> open_device(unsigned index);
    bool writable() const { return range_.writable; }
    std::uint64_t mapping_unit() const; // bytes, the largest of the devices'
    unsigned granularity() const;       // the strictest of the devices'
    // Whether some of it is device DAX of 2 MiB or 1 GiB, which has no page smaller than that.
    bool has_huge_pages_only() const;

  private:
    explicit Lease(const FileRange &range) : range_(range) {}
    Result<void> take(int fd, bool prepare);
    // With an open file description that lives no longer than the call, but for the anchor.
    Result<void> take_from(const std::string &path, bool prepare,
                           std::map<unsigned, daxpin_ticket> &tickets);
    bool covers(const FileRange &range) const;
    bool needs_broker() const;
    Result<void> check(int fd) const;
    void forget();

    FileRange range_;
    daxpin_generation generation_{};
    std::vector<daxpin_extent> extents_;
    std::map<unsigned, daxpin_device> devices_;
    std::map<unsigned, UniqueFd> passed_; // by the broker, until they are fetched
    AddressRange anchor_;
    bool known_ = false; // in the table; written by the thread that made it, before others see it
};

} // namespace daxpin::client
