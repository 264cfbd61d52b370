// SPDX-License-Identifier: BSD-3-Clause
//
// FakeFilesystem: answers the ioctls of daxpin-ioctl(2) and poll(2) within the test's own process,
// for one file at a time, and counts them. The file and its devices are ordinary files in a scratch
// folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <daxpin/ioctl.h>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

namespace daxpin::test {

class FakeFilesystem {
  public:
    // A file of `size` bytes whose extents are set by the test.
    explicit FakeFilesystem(std::uint64_t size);
    ~FakeFilesystem();
    FakeFilesystem(const FakeFilesystem &) = delete;
    FakeFilesystem &operator=(const FakeFilesystem &) = delete;

    const std::string &folder() const { return folder_; }
    int open_file(int flags) const;
    void resize(std::uint64_t size) const;
    // Adds a device and returns its index. What its granularity is somebody said by an option.
    unsigned add_device(std::uint64_t size, unsigned granularity, std::uint64_t unit = 4096);
    void set_number(unsigned device, std::uint32_t number) { devices_.at(device).number = number; }
    void set_flags(unsigned device, std::uint32_t flags) { devices_.at(device).flags = flags; }
    void set_path(unsigned device, const std::string &path);
    // Appends an extent behind the last one.
    void add_extent(unsigned device, std::uint64_t device_offset, std::uint64_t length);
    std::string read_device(unsigned device, std::uint64_t offset, std::size_t length) const;

    int answer(unsigned long command, void *argument); // as ioctl()
    unsigned asked() const { return asked_; }          // ioctls since the last forget_asked()
    int answer(pollfd &polled);                        // as poll() without waiting
    unsigned polled() const { return polled_; }
    unsigned synced() const { return synced_; }             // calls of msync()
    static std::span<const std::byte> last_synced();        // by the calling thread
    int sync(void *address, std::size_t length, int flags); // as msync()
    void forget_asked() { asked_ = polled_ = 0; }

    std::vector<daxpin_extent> extents;
    std::uint64_t generation = 1;
    // Of device DAX: there msync() is EINVAL, as in the kernel.
    std::vector<std::uintptr_t> cannot_sync;
    bool asked_back = false; // some lease of the file
    // The map changes once more just before each of that many checks.
    unsigned changes_to_come = 0;
    int fail_with = 0;         // errno of the next LEASE
    pid_t failed_in = 0;       // the thread whose LEASE failed so
    unsigned long unknown = 0; // an ioctl that the daemon does not know
    unsigned abi = DAXPIN_ABI; // of the daemon; 0 = of no daxpin filesystem at all
    std::uint64_t mount_id = 1;
    std::string broker; // the path of its socket; if there is one, it opens the devices

  private:
    std::string folder_;
    std::vector<daxpin_device> devices_;
    std::atomic<unsigned> asked_ = 0;
    std::atomic<unsigned> polled_ = 0;
    std::atomic<unsigned> synced_ = 0;
};

} // namespace daxpin::test
