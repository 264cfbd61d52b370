// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/commands.h"
#include "tools/dump/text.h"

#include <cstddef>
#include <cstdio>

namespace daxpin::dump {
namespace {

constexpr std::size_t row_bytes = 16;

// True for the bytes that hold a secret: the hash key in the superblocks, the epoch in the cells.
bool is_secret(const Context &context, MediaBlock block, std::size_t at) {
    if (block.device() != 0)
        return false;
    const auto &superblock = context.view.superblock();
    const std::uint64_t number = block.block();
    constexpr std::size_t key = format::superblock_offset + offsetof(format::Superblock, hash_key);
    constexpr std::size_t epoch = offsetof(format::TailCell, epoch);
    if (number == 0 || number == superblock.devices[0].block_count - 1)
        return at >= key && at < key + sizeof superblock.hash_key;
    if (number == superblock.tail_cell_a || number == superblock.tail_cell_b)
        return at >= epoch && at < epoch + sizeof(format::TailCell::epoch);
    return false;
}

Result<void> read_block(const Context &context, MediaBlock block, reader::UnitBytes &bytes) {
    if (!context.devices.contains({block, {1}}))
        return Error{Errc::invalid, "block " + block_text(block.value) + " is not on the volume"};
    if (block.device() == 0)
        return context.view.read(block, bytes);
    return context.devices.read(block, 0, bytes);
}

} // namespace

Result<void> dump_hex(const Context &context, MediaBlock block, std::uint64_t offset,
                      std::uint64_t length) {
    if (offset >= block_size)
        return Error{Errc::invalid, "the offset is beyond the block's end"};
    if (length == 0 || length > block_size - offset)
        length = block_size - offset;
    reader::UnitBytes bytes;
    DAXPIN_TRY(read_block(context, block, bytes));
    context.out.begin_table("hex", {{"offset", -8}, {"bytes", -47}, {"text", -16}});
    for (std::size_t row = offset; row < offset + length; row += row_bytes) {
        std::string hex;
        std::string text;
        for (std::size_t at = row; at < row + row_bytes && at < offset + length; ++at) {
            const bool hide = !context.secrets && is_secret(context, block, at);
            const auto byte = std::to_integer<unsigned char>(bytes[at]);
            hex += (hex.empty() ? "" : " ") + (hide ? "**" : hex_text({&bytes[at], 1}));
            text += !hide && byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
        }
        char where[16];
        std::snprintf(where, sizeof where, "%04zx", row);
        context.out.row({std::string(where), hex, text});
    }
    context.out.end_table();
    return {};
}

} // namespace daxpin::dump
