// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/bitmaps.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::fsck {
namespace {

using format::BitmapHeader;

std::string chunk_name(unsigned device, std::uint64_t group) {
    return "bitmap chunk " + std::to_string(group) + " of device " + std::to_string(device);
}

// Blocks of a group whose bits are wrong in one direction.
struct Wrong {
    std::uint64_t count = 0;
    std::uint64_t first = 0; // within the group

    void add(unsigned word, std::uint64_t bits) {
        if (count == 0 && bits != 0)
            first = word * 64 + std::countr_zero(bits);
        count += std::popcount(bits);
    }
};

class ChunkCheck {
  public:
    ChunkCheck(Pass &pass, unsigned device, std::uint64_t group)
        : pass_(pass), device_(device), group_(group) {}

    void check() {
        const auto &entry = pass_.view.superblock().devices[device_];
        reader::UnitBytes bytes;
        const auto read = pass_.view.read(MediaBlock::at(0, entry.bitmap_start + group_), bytes);
        if (!read) {
            error(Subject::media, "cannot be read");
            return rebuild(nullptr);
        }
        if (!reader::unit_checksum_holds(bytes))
            return wrong_checksum(bytes);
        BitmapHeader header;
        std::memcpy(&header, bytes.data(), sizeof header);
        if (header.magic != format::bitmap_magic || header.device != device_ ||
            header.group != group_) {
            error(Subject::bitmap, "wrong magic number, device or group");
            return rebuild(nullptr);
        }
        compare(bytes, header.free_count);
    }

  private:
    void error(Subject subject, const std::string &text) {
        pass_.findings.error(subject, chunk_name(device_, group_) + ": " + text);
    }

    void wrong_checksum(const reader::UnitBytes &bytes) {
        error(Subject::bitmap, "wrong checksum");
        const auto bit = reader::flipped_bit(bytes);
        if (!bit)
            return rebuild(nullptr);
        const auto &entry = pass_.view.superblock().devices[device_];
        pass_.findings.safe_fix(Stage::flips, Subject::bitmap,
                                chunk_name(device_, group_) + ": one bit corrected",
                                FixFlip{MediaBlock::at(0, entry.bitmap_start + group_), *bit});
    }

    // Makes the chunk say what was reached. While a part of the tree is lost, what nobody reached
    // may be its: what was in use stays so, and with no bits to go by everything is.
    void rebuild(const GroupBits *stored) {
        if (pass_.findings.fixes() == nullptr)
            return;
        FixChunk fix{device_, group_, pass_.owners.group(device_, group_)};
        for (unsigned i = 0; i < group_words; ++i) {
            if (pass_.incomplete)
                fix.in_use[i] |= stored != nullptr ? (*stored)[i] : ~std::uint64_t{0};
            fix.in_use[i] |= beyond(i);
        }
        const std::string text = chunk_name(device_, group_) + " made anew";
        if (pass_.incomplete)
            pass_.findings.fix(Stage::bitmaps, Subject::bitmap, text, fix);
        else
            pass_.findings.safe_fix(Stage::bitmaps, Subject::bitmap, text, fix);
    }

    // Bits of this word that lie beyond the device: they are set.
    std::uint64_t beyond(unsigned word) const {
        const std::uint64_t blocks = pass_.view.superblock().devices[device_].block_count;
        const std::uint64_t first = group_ * format::blocks_per_group + word * 64;
        if (first >= blocks)
            return ~std::uint64_t{0};
        const std::uint64_t valid = blocks - first;
        return valid >= 64 ? 0 : ~std::uint64_t{0} << valid;
    }

    void compare(const reader::UnitBytes &bytes, std::uint32_t free_count) {
        const GroupBits &reached = pass_.owners.group(device_, group_);
        std::uint64_t free = 0;
        Wrong leaked;
        Wrong lost;
        Wrong outside;
        GroupBits all;
        for (unsigned i = 0; i < group_words; ++i) {
            le64 stored;
            std::memcpy(&stored, bytes.data() + sizeof(BitmapHeader) + i * sizeof stored,
                        sizeof stored);
            const std::uint64_t bits = stored;
            all[i] = bits;
            const std::uint64_t end = beyond(i);
            free += std::popcount(~bits);
            leaked.add(i, bits & ~reached[i] & ~end);
            lost.add(i, reached[i] & ~bits);
            outside.add(i, end & ~bits);
        }
        pass_.report.counts.free_blocks += free;
        if (free != free_count)
            error(Subject::bitmap, "free count " + std::to_string(free_count) + ", clear bits " +
                                       std::to_string(free));
        report(lost, "in use but marked free");
        report(outside, "beyond the device but marked free");
        if (!pass_.incomplete)
            report(leaked, "marked in use but nobody's");
        if (free != free_count || lost.count != 0 || outside.count != 0)
            rebuild(&all);
        else if (!pass_.incomplete && leaked.count != 0)
            free_leaked();
    }

    void free_leaked() {
        FixChunk fix{device_, group_, pass_.owners.group(device_, group_)};
        for (unsigned i = 0; i < group_words; ++i)
            fix.in_use[i] |= beyond(i);
        pass_.findings.safe_fix(Stage::leaks, Subject::bitmap,
                                chunk_name(device_, group_) + ": blocks that are nobody's freed",
                                fix);
    }

    void report(const Wrong &wrong, const char *text) {
        if (wrong.count == 0)
            return;
        const auto first = MediaBlock::at(device_, group_ * format::blocks_per_group + wrong.first);
        error(Subject::bitmap,
              std::to_string(wrong.count) + " blocks " + text + ", the first " + to_string(first));
    }

    Pass &pass_;
    unsigned device_;
    std::uint64_t group_;
};

} // namespace

void check_bitmaps(Pass &pass) {
    const auto &superblock = pass.view.superblock();
    for (unsigned device = 0; device < superblock.device_count; ++device) {
        const std::uint64_t groups = superblock.devices[device].group_count;
        for (std::uint64_t group = 0; group < groups; ++group) {
            ChunkCheck(pass, device, group).check();
            if (group % 256 == 255 && !pass.progress(0.9 + 0.1 * (device + double(group) / groups) /
                                                               superblock.device_count))
                return;
        }
    }
}

} // namespace daxpin::fsck
