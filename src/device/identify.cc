// SPDX-License-Identifier: BSD-3-Clause
#include "device/identify.h"

#include <blkid/blkid.h>
#include <fmt/format.h>
#include <memory>

namespace daxpin::device {
namespace {

struct ProbeDelete {
    void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, ProbeDelete>;

std::string value(const Probe &probe, const char *name) {
    const char *text = nullptr;
    return blkid_probe_lookup_value(probe.get(), name, &text, nullptr) == 0 ? text : "";
}

} // namespace

std::string identify_content(const std::string &path) {
    const Probe probe(blkid_new_probe_from_filename(path.c_str()));
    if (probe) {
        blkid_probe_enable_superblocks(probe.get(), 1);
        blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE);
        blkid_probe_enable_partitions(probe.get(), 1);
        if (blkid_do_safeprobe(probe.get()) == 0) {
            if (const std::string type = value(probe, "TYPE"); !type.empty())
                return fmt::format("a filesystem of type {}", type);
            if (const std::string type = value(probe, "PTTYPE"); !type.empty())
                return fmt::format("a partition table of type {}", type);
        }
    }
    return "no filesystem known to libblkid";
}

} // namespace daxpin::device
