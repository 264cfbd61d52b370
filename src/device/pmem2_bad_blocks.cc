// SPDX-License-Identifier: BSD-3-Clause
#include "device/pmem2_bad_blocks.h"

#include "base/log.h"

#include <algorithm>
#include <functional>
#include <libpmem2.h>

namespace daxpin::device {
namespace {

struct SourceDelete {
    void operator()(pmem2_source *source) const { pmem2_source_delete(&source); }
};
struct ContextDelete {
    void operator()(pmem2_badblock_context *context) const {
        pmem2_badblock_context_delete(&context);
    }
};
using Visitor = std::function<void(pmem2_badblock_context *, const pmem2_badblock &)>;

// Calls visit() for each entry of the list; 0, or what libpmem2 says of why there is none.
int visit_list(int fd, const Visitor &visit) {
    pmem2_source *source = nullptr;
    if (const int code = pmem2_source_from_fd(&source, fd); code != 0)
        return code;
    const std::unique_ptr<pmem2_source, SourceDelete> source_owner(source);
    pmem2_badblock_context *context = nullptr;
    if (const int code = pmem2_badblock_context_new(&context, source); code != 0)
        return code;
    const std::unique_ptr<pmem2_badblock_context, ContextDelete> context_owner(context);
    pmem2_badblock bad{};
    int code;
    while ((code = pmem2_badblock_next(context, &bad)) == 0)
        visit(context, bad);
    return code == PMEM2_E_NO_BAD_BLOCK_FOUND ? 0 : code;
}

} // namespace

std::vector<ByteRange> listed_by_device(int fd, const std::string &path) {
    std::vector<ByteRange> ranges;
    const int code = visit_list(fd, [&](pmem2_badblock_context *, const pmem2_badblock &bad) {
        ranges.push_back({bad.offset, bad.length});
    });
    if (code != 0)
        log(LogLevel::debug,
            path + ": its own list of bad blocks cannot be read: " + pmem2_errormsg());
    return ranges;
}

void clear_listed_by_device(int fd, ByteRange range) {
    visit_list(fd, [&](pmem2_badblock_context *context, const pmem2_badblock &bad) {
        const std::uint64_t begin = std::max<std::uint64_t>(range.offset, bad.offset);
        const std::uint64_t end =
            std::min<std::uint64_t>(range.offset + range.length, bad.offset + bad.length);
        if (begin >= end)
            return;
        const pmem2_badblock part{begin, end - begin};
        // Whether it helped shows when the block is read back.
        static_cast<void>(pmem2_badblock_clear(context, &part));
    });
}

} // namespace daxpin::device
