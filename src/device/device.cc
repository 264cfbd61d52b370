// SPDX-License-Identifier: BSD-3-Clause
#include "device/device.h"

#include "base/assert.h"

#include <algorithm>
#include <array>

namespace daxpin::device {

const char *to_string(Domain domain) noexcept {
    switch (domain) {
    case Domain::byte:
        return "byte";
    case Domain::cache_line:
        return "cache_line";
    case Domain::page:
        return "page";
    case Domain::none:
        return "none";
    }
    return "unknown";
}

std::optional<Domain> parse_domain(std::string_view text) noexcept {
    for (const Domain domain : {Domain::byte, Domain::cache_line, Domain::page, Domain::none})
        if (text == to_string(domain))
            return domain;
    return std::nullopt;
}

Result<void> Device::patch(std::uint64_t offset, std::span<const std::byte, block_size> image,
                           std::span<const Part> parts) {
    for (const Part &part : parts)
        DAXPIN_TRY(
            copy(offset + part.offset, image.subspan(part.offset, part.length), StoreKind::cached));
    return {};
}

Result<void> Device::rewrite(std::uint64_t offset, std::span<const std::byte> block) {
    DAXPIN_ASSERT(offset % block_size == 0 && block.size() == block_size);
    DAXPIN_TRY(copy(offset, block, StoreKind::nontemporal));
    DAXPIN_TRY(drain());
    std::array<std::byte, block_size> back;
    DAXPIN_TRY(read(offset, back));
    if (!std::ranges::equal(back, block))
        return Errc::io;
    return {};
}

} // namespace daxpin::device
