// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/quarantine_check.h"

#include <cstring>

namespace daxpin::fsck {

void QuarantineCheck::drop(const reader::Key &key, Subject subject, const std::string &what) {
    pass_.findings.error(subject, what);
    pass_.findings.fix(Stage::items, subject, "item " + reader::to_string(key) + " removed",
                       FixItems{{key}, {}});
}

void QuarantineCheck::item(const reader::Item &item) {
    format::QuarantineItem entry{};
    if (item.key.type() != static_cast<unsigned>(format::ItemType::quarantine) ||
        item.value.size() != sizeof entry)
        return drop(item.key, Subject::quarantine,
                    "impossible item " + reader::to_string(item.key));
    std::memcpy(&entry, item.value.data(), sizeof entry);
    const MediaRun run{MediaBlock{item.key.offset()}, {entry.block_count}};
    const std::string name = "quarantined " + to_string(run);
    if (entry.block_count == 0 || !pass_.owners.contains(run))
        return drop(item.key, Subject::quarantine, name + ": not on a device of the volume");
    if (entry.inode < format::first_free_inode || entry.inode > format::inode_max)
        return drop(item.key, Subject::quarantine, name + ": from an impossible inode");
    if (pass_.view.superblock().devices[run.start.device()].role ==
        static_cast<std::uint32_t>(format::Role::metadata))
        return drop(item.key, Subject::role, name + " on a metadata device");
    entries_.emplace_back(item.key, entry);
}

// No mapping outlives the boot it was made in.
bool QuarantineCheck::is_over(const format::QuarantineItem &entry) const {
    const auto &boot = pass_.options.boot;
    return boot && std::memcmp(entry.boot_id, boot->data(), boot->size()) != 0;
}

void QuarantineCheck::finish() {
    for (const auto &[key, entry] : entries_) {
        const MediaRun run{MediaBlock{key.offset()}, {entry.block_count}};
        pass_.report.counts.quarantined_blocks += entry.block_count;
        pass_.claim_data(run, "the quarantine");
        if (is_over(entry))
            pass_.findings.safe_fix(Stage::items, Subject::quarantine,
                                    to_string(run) + " left the quarantine of an earlier boot",
                                    FixItems{{key}, {}});
    }
}

} // namespace daxpin::fsck
