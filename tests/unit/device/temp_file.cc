// SPDX-License-Identifier: BSD-3-Clause
#include "temp_file.h"

#include "base/unique_fd.h"
#include "support/catch.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace daxpin::device {

TempDirectory::TempDirectory(const std::string &parent) : path_(parent + "/daxpin-test-XXXXXX") {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
}

TempDirectory::~TempDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
}

std::string TempDirectory::file(const std::string &name, std::uint64_t size) const {
    const std::string path = path_ + "/" + name;
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    REQUIRE(fd);
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    return path;
}

std::unique_ptr<Device> open_or_fail(const std::string &path, const OpenOptions &options) {
    auto device = open_device(path, options);
    INFO((device ? "" : describe(device.error())));
    REQUIRE(device.has_value());
    return *std::move(device);
}

std::string open_text(const std::string &path, const OpenOptions &options) {
    const auto device = open_device(path, options);
    return device ? "" : describe(device.error());
}

void poison(const Device &device, std::uint64_t offset) {
    const UniqueFd empty(::memfd_create("poison", MFD_CLOEXEC));
    REQUIRE(empty);
    void *page = const_cast<std::byte *>(device.view().data()) + offset;
    REQUIRE(::mmap(page, block_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, empty.get(),
                   0) == page);
}

format::DeviceLabel label_for(const Device &device, unsigned index, unsigned count,
                              unsigned volume) {
    format::DeviceLabel label{};
    label.magic = format::label_magic;
    label.format_version = format::version;
    label.volume_uuid[0] = static_cast<std::byte>(volume);
    label.device_uuid[0] = static_cast<std::byte>(volume);
    label.device_uuid[15] = static_cast<std::byte>(index + 1);
    label.index = static_cast<std::uint16_t>(index);
    label.device_count = static_cast<std::uint16_t>(count);
    label.role = static_cast<std::uint32_t>(format::role_of(index, count));
    label.block_count = device.info().size / block_size;
    label.mapping_unit = device.info().mapping_unit;
    std::ranges::fill(label.text, 'n');
    return label;
}

format::Superblock superblock_for(const Device &device, unsigned volume) {
    format::Superblock superblock{};
    superblock.magic = format::superblock_magic;
    superblock.format_version = format::version;
    superblock.volume_uuid[0] = static_cast<std::byte>(volume);
    superblock.block_bytes = block_size;
    superblock.device_count = 1;
    superblock.devices[0].device_uuid[0] = static_cast<std::byte>(volume);
    superblock.devices[0].device_uuid[15] = std::byte{1};
    superblock.devices[0].block_count = device.info().size / block_size;
    return superblock;
}

} // namespace daxpin::device
