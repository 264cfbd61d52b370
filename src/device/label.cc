// SPDX-License-Identifier: BSD-3-Clause
#include "device/label.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "base/size_text.h"
#include "base/uuid.h"
#include "device/identify.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <optional>

namespace daxpin::device {
namespace {

using format::DeviceLabel;
using format::Superblock;

template <typename T> std::span<const std::byte> bytes_of(const T &value) {
    return std::as_bytes(std::span(&value, 1));
}

template <typename T> std::uint32_t checksum(T value) {
    value.crc = 0;
    return crc32c(bytes_of(value));
}

// How far one copy can be trusted. The order is that of usefulness for a message.
enum class State { unreadable, foreign, damaged, newer, valid };

template <typename T> struct Copy {
    State state = State::unreadable;
    T content{};
};

template <typename T>
Copy<T> read_copy(const Device &device, std::uint64_t offset, std::uint64_t magic) {
    Copy<T> copy;
    const std::uint64_t size = device.info().size;
    if (offset > size || sizeof(T) > size - offset ||
        !device.read(offset, std::as_writable_bytes(std::span(&copy.content, 1))))
        return copy;
    if (copy.content.magic != magic)
        copy.state = State::foreign;
    else if (copy.content.crc != checksum(copy.content))
        copy.state = State::damaged;
    else
        copy.state = copy.content.format_version == format::version ? State::valid : State::newer;
    return copy;
}

std::uint64_t block_count(const Device &device) {
    return device.info().size / block_size;
}

Copy<DeviceLabel> read_label_at(const Device &device, std::uint64_t block) {
    auto copy = read_copy<DeviceLabel>(device, block * block_size, format::label_magic);
    if (copy.state == State::valid && !is_legal(copy.content))
        copy.state = State::damaged;
    // A label of another size's last block is what an earlier, smaller or larger volume left.
    if (copy.state == State::valid && block != 0 && copy.content.block_count != block + 1)
        copy.state = State::foreign;
    return copy;
}

struct LabelCopies {
    std::array<Copy<DeviceLabel>, 2> copies;
    std::uint64_t second_block = 0; // 0: the device is too short to have one

    const DeviceLabel *valid() const {
        for (const auto &copy : copies)
            if (copy.state == State::valid)
                return &copy.content;
        return nullptr;
    }
    State best() const { return std::max(copies[0].state, copies[1].state); }
};

LabelCopies read_label_copies(const Device &device) {
    LabelCopies labels;
    const std::uint64_t blocks = block_count(device);
    labels.copies[0] = read_label_at(device, 0);
    const bool first_is_valid = labels.copies[0].state == State::valid;
    labels.second_block =
        (first_is_valid ? labels.copies[0].content.block_count.get() : blocks) - 1;
    if (labels.second_block > 0 && labels.second_block < blocks)
        labels.copies[1] = read_label_at(device, labels.second_block);
    return labels;
}

Copy<Superblock> read_superblock_at(const Device &device, std::uint64_t block,
                                    const DeviceLabel &label) {
    auto copy = read_copy<Superblock>(device, block * block_size + format::superblock_offset,
                                      format::superblock_magic);
    if (copy.state == State::valid && !is_legal(copy.content))
        copy.state = State::damaged;
    if (copy.state == State::valid &&
        to_uuid(copy.content.volume_uuid) != to_uuid(label.volume_uuid))
        copy.state = State::foreign; // an earlier volume's
    return copy;
}

bool is_zero(const Device &device) {
    std::array<std::byte, block_size> block;
    return device.info().size >= block_size && device.read(0, block) &&
           std::ranges::all_of(block, [](std::byte value) { return value == std::byte{0}; });
}

std::string not_a_volume(const Device &device) {
    const std::string &path = device.info().path;
    if (is_zero(device))
        return fmt::format("{}: not a daxpin volume: it begins with zeros; check the name", path);
    return fmt::format("{}: not a daxpin volume: it holds {}; check the name", path,
                       identify_content(path));
}

Error label_error(const Device &device, State best) {
    const std::string &path = device.info().path;
    switch (best) {
    case State::newer:
        return {Errc::unsupported,
                fmt::format("{}: its format version is newer than this program's ({}): use a newer "
                            "daxpin",
                            path, format::version)};
    case State::damaged:
        return {Errc::invalid,
                fmt::format("{}: both copies of the device label are damaged (wrong checksum): "
                            "restore a backup",
                            path)};
    case State::unreadable:
        return {Errc::io, fmt::format("{}: the device label cannot be read (media error)", path)};
    case State::foreign:
    case State::valid:
        break;
    }
    return {Errc::invalid, not_a_volume(device)};
}

Error too_short(const Device &device, const DeviceLabel &label) {
    const std::uint64_t wanted = label.block_count * block_size;
    const std::string &path = device.info().path;
    return {Errc::invalid,
            fmt::format(
                "{}: is {} bytes ({}) long, but its label says {} ({}): give it that size again "
                "(a file: 'truncate -s {} {}'; a namespace: ndctl), restore the missing end "
                "from a backup if there is one, and run fsck.daxpinfs",
                path, device.info().size, size_text(device.info().size), wanted, size_text(wanted),
                wanted, path)};
}

std::string bit_names(std::uint64_t bits) {
    std::string names;
    for (unsigned bit = 0; bit < 64; ++bit)
        if ((bits >> bit & 1) != 0)
            names += fmt::format("{}{}", names.empty() ? "" : ", ", bit);
    return names;
}

Result<void> check_features(const Device &device, const Superblock &superblock) {
    const std::string &path = device.info().path;
    if (const auto unknown = superblock.incompat & ~format::known_incompat; unknown != 0)
        return Error{Errc::unsupported,
                     fmt::format("{}: uses features this program does not know (incompat bit {}): "
                                 "use a newer daxpin",
                                 path, bit_names(unknown))};
    return {};
}

template <typename T> Result<void> store(Device &device, std::uint64_t offset, const T &value) {
    return device.copy(offset, bytes_of(value), StoreKind::nontemporal);
}

Result<void> set_magic(Device &device, std::uint64_t offset, std::uint64_t magic) {
    DAXPIN_TRY(device.store8(offset, magic));
    device.flush(offset, sizeof(std::uint64_t));
    return {};
}

// A bad block takes zeros only as a whole.
Result<void> wipe_magic(Device &device, std::uint64_t block, unsigned offset) {
    auto wiped = set_magic(device, block * block_size + offset, 0);
    if (wiped || wiped.code() != Errc::io)
        return wiped;
    constexpr std::array<std::byte, block_size> zeros{};
    return device.rewrite(block * block_size, zeros);
}

// The block of the copy that is not valid where the other one is.
template <typename T> std::optional<std::uint64_t>
lost_copy(const Copy<T> &first, const Copy<T> &second, std::uint64_t second_block) {
    const bool first_valid = first.state == State::valid;
    if (first_valid == (second.state == State::valid))
        return std::nullopt;
    return first_valid ? second_block : 0;
}

Result<void> store_over_bad(Device &device, std::uint64_t block, const DeviceLabel &label,
                            const Superblock *superblock) {
    std::array<std::byte, block_size> whole{};
    std::ranges::copy(bytes_of(label), whole.begin());
    if (superblock != nullptr)
        std::ranges::copy(bytes_of(*superblock), whole.begin() + format::superblock_offset);
    return device.rewrite(block * block_size, whole);
}

} // namespace

Result<DeviceLabel> read_label(const Device &device) {
    const LabelCopies labels = read_label_copies(device);
    const DeviceLabel *label = labels.valid();
    if (!label)
        return label_error(device, labels.best());
    if (label->block_count > block_count(device))
        return too_short(device, *label);
    return *label;
}

Result<Superblock> read_superblock(const Device &device) {
    DAXPIN_TRY_ASSIGN(const DeviceLabel label, read_label(device));
    State best = State::unreadable;
    for (const std::uint64_t block : {std::uint64_t{0}, label.block_count - 1}) {
        const auto copy = read_superblock_at(device, block, label);
        best = std::max(best, copy.state);
        if (copy.state != State::valid)
            continue;
        DAXPIN_TRY(check_features(device, copy.content));
        return copy.content;
    }
    if (best == State::newer || best == State::unreadable)
        return label_error(device, best);
    return Error{
        Errc::invalid,
        fmt::format("{}: the label is valid but both copies of the superblock are damaged: "
                    "restore a backup",
                    device.info().path)};
}

Result<void> write_labels(Device &device, DeviceLabel label, const Superblock *superblock) {
    DAXPIN_ASSERT(label.block_count >= 2 && label.block_count <= block_count(device));
    label.crc = checksum(label);
    Superblock checked{};
    if (superblock) {
        checked = *superblock;
        checked.crc = checksum(checked);
    }
    DeviceLabel unfinished = label;
    unfinished.magic = 0;
    // The magic number makes a copy count, so it comes when all else of the copy is durable; the
    // second copy is whole before the first is touched.
    for (const std::uint64_t block : {label.block_count - 1, std::uint64_t{0}}) {
        const std::uint64_t offset = block * block_size;
        if (superblock)
            DAXPIN_TRY(store(device, offset + format::superblock_offset, checked));
        DAXPIN_TRY(store(device, offset, unfinished));
        DAXPIN_TRY(device.drain());
        DAXPIN_TRY(set_magic(device, offset, label.magic));
        DAXPIN_TRY(device.drain());
    }
    return {};
}

Result<void> store_copy(Device &device, std::uint64_t block, Structure which,
                        const DeviceLabel &label, const Superblock *superblock) {
    const std::uint64_t offset = block * block_size;
    auto stored = which == Structure::label
                      ? store(device, offset, label)
                      : store(device, offset + format::superblock_offset, *superblock);
    if (stored || stored.code() != Errc::io)
        return stored;
    return store_over_bad(device, block, label, superblock);
}

Result<void> wipe_labels(Device &device) {
    // Where this device's second copy would be, and where an older volume's is.
    std::array<std::uint64_t, 3> blocks{0, block_count(device) - 1, 0};
    if (const auto labels = read_label_copies(device); labels.second_block < block_count(device))
        blocks[2] = labels.second_block;
    // The labels first: without one nobody looks for a superblock. An old superblock would count
    // beside a new label if mkfs were given the old UUID.
    for (const unsigned offset : {0U, format::superblock_offset}) {
        for (const std::uint64_t block : blocks)
            DAXPIN_TRY(wipe_magic(device, block, offset));
        DAXPIN_TRY(device.drain());
    }
    return {};
}

Result<bool> restore_copies(Device &device) {
    const LabelCopies labels = read_label_copies(device);
    const DeviceLabel *label = labels.valid();
    if (!label || device.info().read_only || label->block_count > block_count(device))
        return false;
    bool restored = false;
    const auto restore = [&](std::optional<std::uint64_t> block, Structure which,
                             const Superblock *superblock) -> Result<void> {
        if (block)
            DAXPIN_TRY(store_copy(device, *block, which, *label, superblock));
        restored = restored || block;
        return {};
    };
    const std::uint64_t second_block = labels.second_block;
    const auto lost_label = lost_copy(labels.copies[0], labels.copies[1], second_block);
    if (label->index != 0) {
        DAXPIN_TRY(restore(lost_label, Structure::label, nullptr));
        return restored;
    }
    const auto first = read_superblock_at(device, 0, *label);
    const auto second = read_superblock_at(device, second_block, *label);
    const Superblock *const superblock = first.state == State::valid    ? &first.content
                                         : second.state == State::valid ? &second.content
                                                                        : nullptr;
    DAXPIN_TRY(restore(lost_copy(first, second, second_block), Structure::superblock, superblock));
    DAXPIN_TRY(restore(lost_label, Structure::label, superblock));
    return restored;
}

} // namespace daxpin::device
