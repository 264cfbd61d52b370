// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/findings.h"

namespace daxpin::fsck {

const char *to_string(Subject subject) noexcept {
    switch (subject) {
    case Subject::media:
        return "media";
    case Subject::label:
        return "label";
    case Subject::superblock:
        return "superblock";
    case Subject::feature:
        return "feature";
    case Subject::device_table:
        return "device-table";
    case Subject::tail_cell:
        return "tail-cell";
    case Subject::ring:
        return "ring";
    case Subject::node:
        return "node";
    case Subject::bitmap:
        return "bitmap";
    case Subject::ownership:
        return "ownership";
    case Subject::role:
        return "role";
    case Subject::inode:
        return "inode";
    case Subject::directory:
        return "directory";
    case Subject::entry:
        return "entry";
    case Subject::link_count:
        return "link-count";
    case Subject::extent:
        return "extent";
    case Subject::pin:
        return "pin";
    case Subject::unfinished:
        return "unfinished";
    case Subject::bad_block:
        return "bad-block";
    case Subject::quarantine:
        return "quarantine";
    case Subject::blob:
        return "blob";
    }
    return "?";
}

std::string to_string(MediaBlock block) {
    return std::to_string(block.device()) + ":" + std::to_string(block.block());
}

std::string to_string(MediaRun run) {
    if (run.count.value == 1)
        return "block " + to_string(run.start);
    return "blocks " + to_string(run.start) + " + " + std::to_string(run.count.value);
}

} // namespace daxpin::fsck
