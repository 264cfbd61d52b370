// SPDX-License-Identifier: BSD-3-Clause
#include "golden/description.h"

#include "base/checksum.h"
#include "crash/dump.h"
#include "tools/fsck/check.h"

#include <fmt/format.h>

namespace daxpin::golden {

namespace {

std::string bytes_text(std::span<const std::byte> bytes) {
    return fmt::format("{} bytes, crc32c {:08x}", bytes.size(), crc32c(bytes));
}

// What is zero is left out.
std::string attributes_text(const volume::Attributes &is) {
    std::string text = fmt::format("inode {} generation {:016x} mode {:o} links {} size {}",
                                   is.number.value, is.generation, is.mode, is.link_count, is.size);
    if (is.uid != 0 || is.gid != 0)
        text += fmt::format(" owner {}:{}", is.uid, is.gid);
    if (is.rdev != 0)
        text += fmt::format(" rdev {:x}", is.rdev);
    if (is.flags != 0)
        text += fmt::format(" flags {:x}", is.flags);
    if (is.parent.value != 0)
        text += fmt::format(" parent {}", is.parent.value);
    if (is.align_hint != 0)
        text += fmt::format(" alignment {}", is.align_hint);
    return text +
           fmt::format(" times {} {} {} {}", is.atime_ns, is.mtime_ns, is.ctime_ns, is.btime_ns);
}

std::string file_text(const crash::DumpFile &file) {
    std::string text = attributes_text(file.attributes) + "\n";
    for (const auto &[name, value] : file.xattrs)
        text += "    attribute " + name + ": " + bytes_text(value) + "\n";
    if (!file.target.empty())
        text += "    target " + bytes_text(std::as_bytes(std::span(file.target))) + "\n";
    if (file.attributes.is_regular())
        text += "    data " + bytes_text(file.data) + "\n";
    for (const std::uint64_t block : file.lost)
        text += fmt::format("    block {} is lost\n", block);
    if (file.pinned_bytes != 0)
        text += fmt::format("    pinned {} bytes{}\n", file.pinned_bytes,
                            file.pinned_whole ? ", whole" : "");
    return text;
}

std::string counts_text(const Media &media) {
    const auto report = fsck::check(test::open_table(media));
    const auto &counts = report.counts;
    const auto text = fmt::format(
        "fsck: {} errors, {} records to replay, {} pieces of unfinished work\n"
        "fsck: {} nodes, {} inodes, {} directories, {} entries, {} extents, "
        "{} bad blocks\n"
        "fsck: {} blocks of metadata, {} of data, {} free\n",
        report.errors, counts.records_replayed, counts.unfinished, counts.nodes, counts.inodes,
        counts.directories, counts.entries, counts.extents, counts.bad_blocks,
        counts.metadata_blocks, counts.data_blocks, counts.free_blocks);
    if (counts.quarantined_blocks == 0)
        return text;
    return text + fmt::format("fsck: {} blocks in quarantine\n", counts.quarantined_blocks);
}

} // namespace

Media clones(const Media &media) {
    Media copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

Result<std::string> content_of(volume::Volume &volume) {
    DAXPIN_TRY_ASSIGN(const auto dump, crash::take_dump(volume));
    std::string text;
    for (const auto &[path, number] : dump.names)
        text += "/" + path + ": " + file_text(dump.files.at(number));
    return text;
}

Result<std::string> description_of(const Media &media) {
    test::TestEnv env;
    volume::Options options;
    options.atime = volume::Atime::none;
    std::string text = counts_text(media);
    DAXPIN_TRY_ASSIGN(const auto volume,
                      volume::Volume::open(test::open_table(clones(media)), env, options));
    DAXPIN_TRY_ASSIGN(const auto content, content_of(*volume));
    return text + content;
}

} // namespace daxpin::golden
