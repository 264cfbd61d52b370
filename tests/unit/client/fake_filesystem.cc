// SPDX-License-Identifier: BSD-3-Clause
#include "unit/client/fake_filesystem.h"

#include "client/device.h"
#include "support/catch.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace daxpin::test {

namespace {

FakeFilesystem *current = nullptr;

void make(const std::string &path, std::uint64_t size) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, static_cast<off_t>(size)) == 0);
    close(fd);
}

// The copy in the last block: tests map all before it.
void label(const daxpin_device &device) {
    format::DeviceLabel label{};
    label.magic = format::label_magic;
    std::memcpy(label.volume_uuid, device.volume_uuid, sizeof label.volume_uuid);
    std::memcpy(label.device_uuid, device.uuid, sizeof label.device_uuid);
    label.crc = client::checksum(label);
    const int fd = open(device.path, O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(pwrite(fd, &label, sizeof label, static_cast<off_t>(device.size - block_size)) ==
            sizeof label);
    close(fd);
}

} // namespace

FakeFilesystem::FakeFilesystem(std::uint64_t size) {
    char folder[] = "/var/tmp/daxpin-client-XXXXXX"; // not /tmp: tmpfs may refuse O_DIRECT
    REQUIRE(mkdtemp(folder) != nullptr);
    folder_ = folder;
    make(folder_ + "/file", size);
    current = this;
}

FakeFilesystem::~FakeFilesystem() {
    current = nullptr;
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

int FakeFilesystem::open_file(int flags) const {
    const int fd = open((folder_ + "/file").c_str(), flags | O_CLOEXEC);
    REQUIRE(fd >= 0);
    return fd;
}

void FakeFilesystem::resize(std::uint64_t size) const {
    REQUIRE(truncate((folder_ + "/file").c_str(), static_cast<off_t>(size)) == 0);
}

unsigned FakeFilesystem::add_device(std::uint64_t size, unsigned granularity, std::uint64_t unit) {
    daxpin_device device{};
    device.index = static_cast<unsigned>(devices_.size());
    device.granularity = granularity;
    device.flags = DAXPIN_DEVICE_ASSUMED;
    device.size = size + block_size;
    device.mapping_unit = unit;
    const auto path = std::filesystem::absolute(folder_ + "/device" + std::to_string(device.index));
    device.uuid[0] = static_cast<__u8>(1 + device.index);
    devices_.push_back(device);
    set_path(device.index, path);
    make(path, device.size);
    label(devices_.back());
    return device.index;
}

void FakeFilesystem::set_path(unsigned device, const std::string &path) {
    REQUIRE(path.size() < sizeof devices_.at(device).path);
    std::memcpy(devices_.at(device).path, path.c_str(), path.size() + 1);
}

void FakeFilesystem::add_extent(unsigned device, std::uint64_t device_offset,
                                std::uint64_t length) {
    daxpin_extent extent{};
    extent.file_offset = extents.empty() ? 0 : extents.back().file_offset + extents.back().length;
    extent.device_offset = device_offset;
    extent.length = length;
    extent.device = device;
    extents.push_back(extent);
}

std::string FakeFilesystem::read_device(unsigned device, std::uint64_t offset,
                                        std::size_t length) const {
    std::string bytes(length, '\0');
    const int fd = open(devices_.at(device).path, O_RDONLY | O_CLOEXEC);
    REQUIRE(pread(fd, bytes.data(), length, static_cast<off_t>(offset)) ==
            static_cast<ssize_t>(length));
    close(fd);
    return bytes;
}

int FakeFilesystem::answer(unsigned long command, void *argument) {
    ++asked_;
    const auto refuse = [](int number) {
        errno = number;
        return -1;
    };
    if (abi == 0 || command == unknown)
        return refuse(ENOTTY);
    if (command == DAXPIN_IOC_LEASE) {
        if (fail_with != 0) {
            failed_in = gettid();
            return refuse(std::exchange(fail_with, 0));
        }
        static_cast<daxpin_lease *>(argument)->generation = {mount_id, generation};
    } else if (command == DAXPIN_IOC_STATUS) {
        if (changes_to_come > 0) {
            --changes_to_come;
            ++generation;
        }
        auto &status = *static_cast<daxpin_file_status *>(argument);
        status.flags = asked_back ? DAXPIN_STATUS_ASKED_BACK : 0;
        status.generation = {mount_id, generation};
    } else if (command == DAXPIN_IOC_VOLUME) {
        static_cast<daxpin_volume *>(argument)->abi = abi;
    } else if (command == DAXPIN_IOC_DEVICE) {
        auto &device = *static_cast<daxpin_device *>(argument);
        if (device.index >= devices_.size())
            return refuse(EINVAL);
        device = devices_[device.index];
        device.flags |= broker.empty() ? 0 : DAXPIN_DEVICE_BROKER;
    } else if (command == DAXPIN_IOC_TICKET) {
        auto &ticket = *static_cast<daxpin_ticket *>(argument);
        broker.copy(ticket.socket, sizeof ticket.socket - 1);
    } else if (command == DAXPIN_IOC_EXTENTS) {
        auto &page = *static_cast<daxpin_extents *>(argument);
        if (page.generation.counter != generation)
            return refuse(ESTALE);
        const auto first = std::ranges::find_if(extents, [&](const daxpin_extent &extent) {
            return extent.file_offset + extent.length > page.cursor;
        });
        const auto left = static_cast<unsigned>(extents.end() - first);
        page.count = std::min(left, 2U); // several pages even of short lists
        std::copy_n(first, page.count, page.extents);
        page.cursor = page.count == left ? ~std::uint64_t{0} : first[page.count].file_offset;
    }
    return 0;
}

namespace {
thread_local std::span<const std::byte> synced_range;
} // namespace

std::span<const std::byte> FakeFilesystem::last_synced() {
    return synced_range;
}

int FakeFilesystem::sync(void *address, std::size_t length, int flags) {
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    for (const auto at : cannot_sync)
        if (start <= at && at < start + length) {
            errno = EINVAL;
            return -1;
        }
    ++synced_;
    synced_range = {static_cast<const std::byte *>(address), length};
    return static_cast<int>(syscall(SYS_msync, address, length, flags));
}

int FakeFilesystem::answer(pollfd &polled) {
    ++polled_;
    polled.revents = static_cast<short>(asked_back ? polled.events & POLLPRI : 0);
    return polled.revents != 0 ? 1 : 0;
}

} // namespace daxpin::test

// In place of the C library's: the library under test calls these.
extern "C" int poll(pollfd *descriptors, nfds_t count, int timeout_ms) {
    if (daxpin::test::current != nullptr && count == 1 && timeout_ms == 0)
        return daxpin::test::current->answer(*descriptors);
    return static_cast<int>(syscall(SYS_poll, descriptors, count, timeout_ms));
}

extern "C" int msync(void *address, std::size_t length, int flags) {
    if (daxpin::test::current != nullptr)
        return daxpin::test::current->sync(address, length, flags);
    return static_cast<int>(syscall(SYS_msync, address, length, flags));
}

extern "C" int ioctl(int fd, unsigned long command, ...) noexcept {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (daxpin::test::current != nullptr && _IOC_TYPE(command) == DAXPIN_IOC_MAGIC)
        return daxpin::test::current->answer(command, argument);
    return static_cast<int>(syscall(SYS_ioctl, fd, command, argument));
}
