// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/bad_blocks.h"

#include "tools/daxpin/commands.h"
#include "tools/daxpin/file.h"
#include "tools/daxpin/print.h"

#include <ctime>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace daxpin::tool {

namespace {

using nlohmann::json;

constexpr std::uint64_t block_bytes = 4096;

Result<std::unique_ptr<daxpin_bad_blocks>> ask(const std::string &path, std::uint64_t cursor,
                                               unsigned flags) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    auto answer = std::make_unique<daxpin_bad_blocks>();
    answer->cursor = cursor;
    answer->flags = flags;
    DAXPIN_TRY(request(path, fd.get(), DAXPIN_IOC_BAD_BLOCKS, answer.get()));
    return answer;
}

const char *use_text(unsigned use) {
    return use == DAXPIN_BAD_FILE       ? "file"
           : use == DAXPIN_BAD_METADATA ? "metadata"
           : use == DAXPIN_BAD_FREE     ? "free"
                                        : "unknown";
}

const char *source_text(unsigned source) {
    return source == DAXPIN_BAD_SOURCE_DEVICE  ? "device"
           : source == DAXPIN_BAD_SOURCE_REPLY ? "reply"
                                               : "access";
}

std::string time_text(std::uint64_t found_ns) {
    const auto seconds =
        static_cast<std::time_t>(static_cast<std::int64_t>(found_ns) / 1'000'000'000);
    std::tm broken{};
    localtime_r(&seconds, &broken);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &broken);
    return text;
}

std::string victim_text(const BadBlocks &bad, const daxpin_bad_block &block) {
    if (block.use == DAXPIN_BAD_FREE)
        return "nobody's, kept from use";
    if (block.use != DAXPIN_BAD_FILE)
        return use_text(block.use);
    const auto &paths = bad.paths.at(block.inode);
    std::string text =
        fmt::format("bytes {} to {} of ", block.file_offset, block.file_offset + block_bytes - 1);
    if (paths.empty())
        return text + fmt::format("inode {}, which has no name you may see", block.inode);
    for (std::size_t i = 0; i < paths.size(); ++i)
        text += (i == 0 ? "" : " = ") + paths[i];
    return text;
}

json to_json(const BadBlocks &bad, const daxpin_bad_block &block) {
    json object = {{"device", block.device},
                   {"device_offset", block.device_offset},
                   {"length", block_bytes},
                   {"source", source_text(block.source)},
                   {"found_ns", static_cast<std::int64_t>(block.found_ns)},
                   {"use", use_text(block.use)}};
    if (block.use == DAXPIN_BAD_FILE) {
        object["inode"] = block.inode;
        object["file_offset"] = block.file_offset;
        object["paths"] = bad.paths.at(block.inode);
    }
    return object;
}

} // namespace

Result<std::uint64_t> count_bad_blocks(const std::string &path) {
    DAXPIN_TRY_ASSIGN(const auto answer, ask(path, 0, 0));
    return answer->total;
}

Result<BadBlocks> find_bad_blocks(const std::string &mount_point) {
    BadBlocks bad;
    for (std::uint64_t cursor = 0; cursor != ~std::uint64_t{0};) {
        DAXPIN_TRY_ASSIGN(const auto answer, ask(mount_point, cursor, DAXPIN_BAD_OWNERS));
        cursor = answer->cursor;
        for (unsigned i = 0; i < answer->count; ++i) {
            bad.blocks.push_back(answer->blocks[i]);
            if (answer->blocks[i].use == DAXPIN_BAD_FILE)
                bad.paths[answer->blocks[i].inode];
        }
    }
    find_paths(mount_point, bad.paths);
    return bad;
}

Result<void> bad_blocks(const std::string &path, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto bad, find_bad_blocks(path));
    if (as_json) {
        json list = json::array();
        for (const auto &block : bad.blocks)
            list.push_back(to_json(bad, block));
        print_json(json{{"path", path}, {"bad_blocks", list}}.dump(2, ' ', false,
                                                                   json::error_handler_t::replace));
        return {};
    }
    for (const auto &block : bad.blocks)
        fmt::print("device {}, byte {}: {} (found {})\n", block.device, block.device_offset,
                   victim_text(bad, block),
                   block.found_ns == 0 ? "just now" : time_text(block.found_ns));
    fmt::print("{} bad block{}\n", bad.blocks.size(), bad.blocks.size() == 1 ? "" : "s");
    return {};
}

} // namespace daxpin::tool
